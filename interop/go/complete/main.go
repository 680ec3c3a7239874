// Asks a question by request-reply and prints the whole answer.
//
//	go run ./complete "What is a claim check?"
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"handlers.example/interop/contract"
)

func main() {
	log.SetFlags(0)
	if err := ask(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func ask(question string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return err
	}
	defer nc.Close()
	body, err := contract.Encode("ChatRequest", map[string]any{"query": question})
	if err != nil {
		return err
	}
	reply, err := nc.RequestWithContext(ctx, "messages.v1.ChatService.Complete", body)
	if err != nil {
		return err
	}
	data := reply.Data
	if name := reply.Header.Get("Handler-Claim-Check"); name != "" { // too large for a message
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		store, err := js.ObjectStore(ctx, "handler_payloads")
		if err != nil {
			return err
		}
		if data, err = store.GetBytes(ctx, name); err != nil {
			return err
		}
	}
	var answer struct {
		Error    *contract.Error
		Response string
		Audio    []byte
	}
	if err := contract.Decode("ChatResponse", data, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return fmt.Errorf("%s: %s", answer.Error.Type, answer.Error.Message)
	}
	fmt.Println(answer.Response)
	if len(answer.Audio) > 0 {
		fmt.Printf("(%d bytes of speech)\n", len(answer.Audio))
	}
	return nil
}
