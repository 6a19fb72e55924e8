package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pki writes a cluster authority, the API server's and the clients'
// certificates, the key that signs ServiceAccount tokens, and kubeconfigs.
func pki() int {
	fs := flag.NewFlagSet("pki", flag.ExitOnError)
	dir := fs.String("dir", "", "folder to write to")
	server := fs.String("server", "", "URL of the API server, for the kubeconfigs")
	serviceIP := fs.String("service-ip", "10.96.0.1", "first address of the service range")
	fs.Parse(os.Args[1:]) //nolint:errcheck // ExitOnError
	if err := writePKI(*dir, *server, *serviceIP); err != nil {
		fmt.Fprintln(os.Stderr, "pki:", err)
		return 1
	}
	return 0
}

// authority signs the certificates of one trust domain.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// writePKI makes everything that the programs and their users prove themselves with. It is good for a year.
func writePKI(dir, server, serviceIP string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := newAuthority(dir, "ca", "localcluster-ca")
	if err != nil {
		return err
	}
	front, err := newAuthority(dir, "front-proxy-ca", "localcluster-front-proxy-ca")
	if err != nil {
		return err
	}
	if _, _, err := front.issue(dir, "front-proxy-client", pkix.Name{CommonName: "front-proxy-client"}, nil, nil); err != nil {
		return err
	}
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	ips := []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(serviceIP)}
	if _, _, err := ca.issue(dir, "apiserver", pkix.Name{CommonName: "kube-apiserver"}, names, ips); err != nil {
		return err
	}
	if _, _, err := ca.issue(dir, "kubelet", pkix.Name{CommonName: "kwok"}, names, ips); err != nil {
		return err
	}
	for name, subject := range map[string]pkix.Name{
		"admin":                    {CommonName: "kubernetes-admin", Organization: []string{"system:masters"}},
		"apiserver-kubelet-client": {CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}},
		"controller-manager":       {CommonName: "system:kube-controller-manager"},
		"scheduler":                {CommonName: "system:kube-scheduler"},
		"kwok":                     {CommonName: "kwok", Organization: []string{"system:masters"}},
	} {
		cert, key, err := ca.issue(dir, name, subject, nil, nil)
		if err != nil {
			return err
		}
		if err := writeKubeconfig(dir, name, server, ca.pem, cert, key); err != nil {
			return err
		}
	}
	return writeTokenKey(dir)
}

func writeKubeconfig(dir, name, server string, ca, cert, key []byte) error {
	b64 := base64.StdEncoding.EncodeToString
	config := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: localcluster
clusters:
- name: localcluster
  cluster: {server: %q, certificate-authority-data: %s}
users:
- name: %s
  user: {client-certificate-data: %s, client-key-data: %s}
contexts:
- name: localcluster
  context: {cluster: localcluster, user: %s}
`, server, b64(ca), name, b64(cert), b64(key), name)
	return os.WriteFile(filepath.Join(dir, name+".kubeconfig"), []byte(config), 0o600)
}

// writeTokenKey writes the key pair that signs and checks ServiceAccount tokens.
func writeTokenKey(dir string) error {
	sa, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if _, err := writeKey(dir, "sa", sa); err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(sa.Public())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), 0o644)
}

// newAuthority makes an authority and writes its certificate and key.
func newAuthority(dir, file, cn string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, file+".crt"), out, 0o644); err != nil {
		return nil, err
	}
	if _, err := writeKey(dir, file, key); err != nil {
		return nil, err
	}
	return &authority{cert, key, out}, nil
}

// issue makes, writes and returns a certificate, good for serving and for asking, and its key.
func (a *authority) issue(dir, file string, subject pkix.Name, names []string, ips []net.IP) (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: subject, DNSNames: names, IPAddresses: ips,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, k.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, file+".crt"), cert, 0o644); err != nil {
		return nil, nil, err
	}
	key, err = writeKey(dir, file, k)
	return cert, key, err
}

func writeKey(dir, file string, key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return out, os.WriteFile(filepath.Join(dir, file+".key"), out, 0o600)
}
