// Package contract turns Go values into messages of the contract and back, with types that it makes from the descriptor set.
// Code that protoc-gen-go generates does the same with types known to the compiler.
package contract

import (
	"encoding/json"
	"fmt"
	"os"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Error is the error that every answer can hold.
type Error struct {
	Type    string
	Message string
}

var files = load()

func load() *protoregistry.Files {
	path := os.Getenv("CONTRACT")
	if path == "" {
		path = "../../proto/frozen.binpb"
	}
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(data, &set); err != nil {
		panic(err)
	}
	found, err := protodesc.NewFiles(&set)
	if err != nil {
		panic(err)
	}
	return found
}

func message(name string) (*dynamicpb.Message, error) {
	found, err := files.FindDescriptorByName(protoreflect.FullName("messages.v1." + name))
	if err != nil {
		return nil, err
	}
	desc, ok := found.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no message", name)
	}
	return dynamicpb.NewMessage(desc), nil
}

// Encode gives the protobuf bytes of a message with these fields.
func Encode(name string, fields map[string]any) ([]byte, error) {
	made, err := message(name)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if err := protojson.Unmarshal(text, made); err != nil {
		return nil, err
	}
	return proto.Marshal(made)
}

// Decode reads the protobuf bytes of a message into a struct that has some of its fields.
func Decode(name string, data []byte, into any) error {
	made, err := message(name)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(data, made); err != nil {
		return err
	}
	text, err := protojson.Marshal(made)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
