package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// authority makes a certificate for each host that is asked for.
type authority struct {
	certificateOfCA *x509.Certificate
	signer          crypto.PrivateKey
	key             *ecdsa.PrivateKey
	lock            sync.Mutex
	made            map[string]*tls.Certificate
}

func readAuthority(certificate, key string) (*authority, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("the authority: %w", err)
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &authority{
		certificateOfCA: pair.Leaf,
		signer:          pair.PrivateKey,
		key:             own,
		made:            map[string]*tls.Certificate{},
	}, nil
}

func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName == "" {
		return nil, errors.New("a client that names no host")
	}
	a.lock.Lock()
	defer a.lock.Unlock()
	if made := a.made[hello.ServerName]; made != nil {
		return made, nil
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: hello.ServerName},
		DNSNames:     []string{hello.ServerName},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificateOfCA, a.key.Public(), a.signer)
	if err != nil {
		return nil, err
	}
	made := &tls.Certificate{Certificate: [][]byte{der, a.certificateOfCA.Raw}, PrivateKey: a.key}
	a.made[hello.ServerName] = made
	return made, nil
}
