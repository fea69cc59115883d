package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
)

// services are what an API server calls in its own cluster: the webhooks of what is installed there. It
// reaches them by addresses that no process of this machine has, through this proxy.
type services struct {
	// file says by which processes services are answered: `{"NAME.NAMESPACE.svc": "127.0.0.1:PORT"}`. It
	// is read at each call, since they start later.
	file string
}

// isOwn says whether a host is an address of the cluster or of this machine.
func (s *services) isOwn(host string) bool {
	return s != nil && net.ParseIP(host) != nil
}

func (s *services) isService(name string) bool {
	return s != nil && strings.HasSuffix(name, ".svc")
}

// through is for what is called by an address of this machine.
func (s *services) through(client net.Conn, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		log.Printf("failed %s: %v", address, err)
		_ = client.Close()
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
	_ = client.Close()
}

// answer hands a call to the process of the service, or plays it: a webhook that nobody runs allows.
func (s *services) answer(response http.ResponseWriter, request *http.Request) {
	name := request.TLS.ServerName
	address, err := s.process(name)
	if err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	if address != "" {
		reverse := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: address})
		// It is on this machine, with whatever certificate it has in its cluster.
		reverse.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		reverse.ServeHTTP(response, request)
		return
	}
	var review map[string]any
	body, err := io.ReadAll(request.Body)
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(body)).Decode(&review)
	}
	question, _ := review["request"].(map[string]any)
	if err != nil || review["kind"] != "AdmissionReview" || question == nil {
		http.Error(response, "nobody runs "+name, http.StatusServiceUnavailable)
		return
	}
	log.Printf("played %s: allowed %v %v", name, question["operation"], question["kind"])
	response.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(response).Encode(map[string]any{
		"apiVersion": review["apiVersion"],
		"kind":       review["kind"],
		"response":   map[string]any{"uid": question["uid"], "allowed": true},
	})
}

func (s *services) process(name string) (string, error) {
	text, err := os.ReadFile(s.file)
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	processes := map[string]string{}
	if err := json.Unmarshal(text, &processes); err != nil {
		return "", fmt.Errorf("%s: %w", s.file, err)
	}
	return processes[name], nil
}
