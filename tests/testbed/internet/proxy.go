package main

import (
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
)

// proxy answers CONNECT for the hosts that it serves itself, and for no others.
type proxy struct {
	sites     sites
	services  *services
	authority *authority
}

func (p *proxy) serve(listener net.Listener) error {
	tunnels := &tunnels{address: listener.Addr(), accepted: make(chan net.Conn)}
	inside := &http.Server{
		Handler:   http.HandlerFunc(p.answer),
		TLSConfig: &tls.Config{GetCertificate: p.authority.certificate},
	}
	failed := make(chan error, 2)
	go func() { failed <- inside.ServeTLS(tunnels, "", "") }()
	outside := &http.Server{Handler: p.connect(tunnels)}
	go func() { failed <- outside.Serve(listener) }()
	return <-failed
}

// connect opens a tunnel to a host that is served here.
func (p *proxy) connect(tunnels *tunnels) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		host, port, err := net.SplitHostPort(request.Host)
		isOurs := p.services.isOwn(host) || port == "443" && p.sites[host] != nil
		if request.Method != http.MethodConnect || err != nil || !isOurs {
			log.Printf("refused %s %s", request.Method, request.Host)
			http.Error(response, "no such host on this internet", http.StatusForbidden)
			return
		}
		connection, _, err := http.NewResponseController(response).Hijack()
		if err != nil {
			log.Printf("failed %s: %v", request.Host, err)
			return
		}
		if _, err := connection.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
			_ = connection.Close()
			return
		}
		if address := net.ParseIP(host); address.IsLoopback() {
			p.services.through(connection, request.Host)
			return
		}
		tunnels.accepted <- connection
	})
}

// answer is what a host says inside of a tunnel.
func (p *proxy) answer(response http.ResponseWriter, request *http.Request) {
	if p.services.isService(request.TLS.ServerName) {
		p.services.answer(response, request)
		return
	}
	site := p.sites[request.TLS.ServerName]
	if site == nil || request.Host != request.TLS.ServerName && request.Host != request.TLS.ServerName+":443" {
		log.Printf("refused %s inside of a tunnel to %s", request.Host, request.TLS.ServerName)
		http.Error(response, "no such host on this internet", http.StatusMisdirectedRequest)
		return
	}
	recorded := &recorder{ResponseWriter: response, status: http.StatusOK}
	site.ServeHTTP(recorded, request)
	log.Printf("%d %s https://%s%s", recorded.status, request.Method, request.TLS.ServerName, request.URL)
}

// recorder remembers the status of a response.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets a handler flush through the recorder.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// tunnels are connections that a server accepts once CONNECT has opened them.
type tunnels struct {
	address  net.Addr
	accepted chan net.Conn
	closing  sync.Once
}

func (t *tunnels) Accept() (net.Conn, error) {
	connection, isOpen := <-t.accepted
	if !isOpen {
		return nil, net.ErrClosed
	}
	return connection, nil
}

func (t *tunnels) Close() error {
	t.closing.Do(func() { close(t.accepted) })
	return nil
}

func (t *tunnels) Addr() net.Addr { return t.address }
