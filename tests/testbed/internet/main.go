// Command internet is the part of the internet that a tree of hcb refers to, on loopback.
//
// It is an HTTP proxy that only knows CONNECT. What a client asks for by its real URL is served here,
// with a certificate for the real name: Git repositories, registries of charts, files. Every other host
// is refused, and said.
//
// Usage:
//
//	internet -listen 127.0.0.1:PORT -ca CERTIFICATE -ca-key KEY [-git URL=FOLDER]... [-registry HOST]... [-files URL=FOLDER]... [-services FILE]
//
// Registries are empty at first and take what is pushed. With -services it is also the way from an API
// server to the services of its cluster, as a gateway for egress is.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	log.SetFlags(log.LUTC | log.Ltime | log.Lmicroseconds)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	sites := sites{}
	listen := flag.String("listen", "127.0.0.1:0", "the `address` of the proxy, or unix:PATH")
	ca := flag.String("ca", "", "the `file` of the authority's certificate")
	caKey := flag.String("ca-key", "", "the `file` of the authority's key")
	flag.Func("git", "serve the bare repository in a folder: `URL=FOLDER`", sites.addGit)
	flag.Func("registry", "serve an OCI registry in memory: `HOST`", sites.addRegistry)
	flag.Func("files", "serve the files of a folder: `URL=FOLDER`", sites.addFiles)
	var own *services
	flag.Func("services", "be an API server's way to services, answered by the processes in a `FILE`", func(file string) error {
		own = &services{file: file}
		return nil
	})
	flag.Parse()

	authority, err := readAuthority(*ca, *caKey)
	if err != nil {
		return err
	}
	network, address := "tcp", *listen
	if path, isSocket := strings.CutPrefix(*listen, "unix:"); isSocket {
		network, address = "unix", path
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	log.Printf("listens on %s", listener.Addr())
	return (&proxy{sites: sites, services: own, authority: authority}).serve(listener)
}

// sites are the hosts that are served, by name.
type sites map[string]*http.ServeMux

func (s sites) host(name string) *http.ServeMux {
	if s[name] == nil {
		s[name] = http.NewServeMux()
	}
	return s[name]
}

func (s sites) addGit(argument string) error {
	site, folder, err := place(argument)
	if err != nil {
		return err
	}
	programs, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return err
	}
	s.host(site.Host).Handle(site.Path+"/", &cgi.Handler{
		Path:       filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend"),
		Root:       site.Path,
		Env:        []string{"GIT_PROJECT_ROOT=" + folder, "GIT_HTTP_EXPORT_ALL=1"},
		InheritEnv: []string{"HOME", "PATH"},
	})
	return nil
}

func (s sites) addRegistry(host string) error {
	s.host(host).Handle("/v2/", registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	return nil
}

func (s sites) addFiles(argument string) error {
	site, folder, err := place(argument)
	if err != nil {
		return err
	}
	files := http.FileServer(http.Dir(folder))
	s.host(site.Host).Handle(site.Path+"/", http.StripPrefix(site.Path, files))
	return nil
}

// place reads URL=FOLDER.
func place(argument string) (*url.URL, string, error) {
	address, folder, isPair := strings.Cut(argument, "=")
	if !isPair {
		return nil, "", fmt.Errorf("%q is not URL=FOLDER", argument)
	}
	site, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil {
		return nil, "", err
	}
	if site.Scheme != "https" || site.Host == "" {
		return nil, "", fmt.Errorf("%q is no URL of HTTPS", address)
	}
	if _, err := os.Stat(folder); err != nil {
		return nil, "", err
	}
	return site, folder, nil
}
