// Command xds asks istiod for all that it sends to one proxy, and prints it as JSON: clusters, endpoints,
// listeners and routes, each in the form of Envoy's API.
//
// It speaks to istiod as pilot-agent does: over TLS that is checked against the root of the mesh, with the
// token of the pod's service account.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	manager "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	_ "istio.io/istio/pkg/config/xds" // Registers the messages that Envoy's extensions are configured with.
)

const typePrefix = "type.googleapis.com/envoy.config."

const (
	clusters  = typePrefix + "cluster.v3.Cluster"
	endpoints = typePrefix + "endpoint.v3.ClusterLoadAssignment"
	listeners = typePrefix + "listener.v3.Listener"
	routes    = typePrefix + "route.v3.RouteConfiguration"
)

func main() {
	address := flag.String("address", "", "host and port of istiod")
	name := flag.String("name", "istiod.istio-system.svc", "the name that istiod must have a certificate for")
	root := flag.String("root", "", "file of the mesh's root certificate")
	token := flag.String("token", "", "file of a token of the pod's service account")
	node := flag.String("node", "", "file of the proxy's node, as JSON")
	timeout := flag.Duration("timeout", 30*time.Second, "how long to wait for all answers")
	flag.Parse()
	if err := run(*address, *name, *root, *token, *node, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, "xds:", err)
		os.Exit(1)
	}
}

func run(address, name, root, token, nodeFile string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	node, err := readNode(nodeFile)
	if err != nil {
		return err
	}
	stream, err := connect(ctx, address, name, root, token)
	if err != nil {
		return err
	}
	ask := func(typeURL string, names []string) ([]*anypb.Any, error) {
		return ask(stream, node, typeURL, names)
	}
	found := map[string][]*anypb.Any{}
	if found["clusters"], err = ask(clusters, nil); err != nil {
		return err
	}
	names, err := endpointNames(found["clusters"])
	if err != nil {
		return err
	}
	if found["endpoints"], err = ask(endpoints, names); err != nil {
		return err
	}
	if found["listeners"], err = ask(listeners, nil); err != nil {
		return err
	}
	if names, err = routeNames(found["listeners"]); err != nil {
		return err
	}
	if len(names) > 0 {
		if found["routes"], err = ask(routes, names); err != nil {
			return err
		}
	}
	return show(found)
}

func readNode(file string) (*core.Node, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	node := &core.Node{}
	return node, protojson.Unmarshal(text, node)
}

func connect(ctx context.Context, address, name, rootFile, tokenFile string) (discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient, error) {
	root, err := os.ReadFile(rootFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		return nil, errors.New(rootFile + " has no certificate")
	}
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return nil, err
	}
	secure := credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12})
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(secure),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)))
	return discovery.NewAggregatedDiscoveryServiceClient(connection).StreamAggregatedResources(ctx)
}

// ask returns the first answer of a type, which it acknowledges as Envoy would.
func ask(stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient, node *core.Node, typeURL string, names []string) ([]*anypb.Any, error) {
	request := &discovery.DiscoveryRequest{Node: node, TypeUrl: typeURL, ResourceNames: names}
	if err := stream.Send(request); err != nil {
		return nil, err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", typeURL, err)
		}
		// What istiod pushes of other types meanwhile is told at the next run.
		acknowledgement := &discovery.DiscoveryRequest{
			TypeUrl: response.TypeUrl, ResourceNames: names,
			VersionInfo: response.VersionInfo, ResponseNonce: response.Nonce,
		}
		if response.TypeUrl != typeURL {
			continue
		}
		return response.Resources, stream.Send(acknowledgement)
	}
}

// endpointNames are the names by which the endpoints of clusters are asked for.
func endpointNames(resources []*anypb.Any) ([]string, error) {
	var names []string
	for _, resource := range resources {
		found := &cluster.Cluster{}
		if err := resource.UnmarshalTo(found); err != nil {
			return nil, err
		}
		if found.GetType() != cluster.Cluster_EDS {
			continue
		}
		name := found.GetEdsClusterConfig().GetServiceName()
		if name == "" {
			name = found.GetName()
		}
		names = append(names, name)
	}
	return names, nil
}

// routeNames are the names of the routes that listeners ask for.
func routeNames(resources []*anypb.Any) ([]string, error) {
	var names []string
	for _, resource := range resources {
		found := &listener.Listener{}
		if err := resource.UnmarshalTo(found); err != nil {
			return nil, err
		}
		for _, chain := range append(slices.Clone(found.GetFilterChains()), found.GetDefaultFilterChain()) {
			for _, filter := range chain.GetFilters() {
				connections := &manager.HttpConnectionManager{}
				if filter.GetTypedConfig().MessageIs(connections) {
					if err := filter.GetTypedConfig().UnmarshalTo(connections); err != nil {
						return nil, err
					}
					if name := connections.GetRds().GetRouteConfigName(); name != "" && !slices.Contains(names, name) {
						names = append(names, name)
					}
				}
			}
		}
	}
	return names, nil
}

func show(found map[string][]*anypb.Any) error {
	shown := map[string][]json.RawMessage{}
	for name, resources := range found {
		shown[name] = []json.RawMessage{}
		for _, resource := range resources {
			text, err := asJSON(resource)
			if err != nil {
				return err
			}
			shown[name] = append(shown[name], text)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(shown)
}

// asJSON is a resource as Envoy's own documentation writes it.
func asJSON(resource *anypb.Any) (json.RawMessage, error) {
	message, err := resource.UnmarshalNew()
	if err != nil {
		return nil, err
	}
	return marshal(message)
}

func marshal(message proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{UseProtoNames: true, Resolver: types{protoregistry.GlobalTypes}}.Marshal(message)
}

// types knows all messages. The settings of filters that only Istio's own Envoy has are shown as empty: their
// messages come with that.
type types struct{ *protoregistry.Types }

func (known types) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	found, err := known.Types.FindMessageByURL(url)
	if errors.Is(err, protoregistry.NotFound) {
		return (&emptypb.Empty{}).ProtoReflect().Type(), nil
	}
	return found, err
}
