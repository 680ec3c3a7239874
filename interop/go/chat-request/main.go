// Asks a question by request-reply and prints the answer as it is written. A replica must be running.
//
//	go run ./chat-request "What is a claim check?"
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"handlers.example/interop/contract"
)

func main() {
	log.SetFlags(0)
	if err := ask(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func ask(question string) error {
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return err
	}
	defer nc.Close()
	body, err := contract.Encode("ChatRequest", map[string]any{"query": question})
	if err != nil {
		return err
	}
	inbox := nc.NewRespInbox()
	replies, err := nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	request := &nats.Msg{Subject: "messages.v1.ChatService.Chat", Reply: inbox, Data: body, Header: nats.Header{}}
	request.Header.Set("Handler-Deadline-Ms", "60000")
	if err := nc.PublishMsg(request); err != nil {
		return err
	}
	for {
		reply, err := replies.NextMsg(65 * time.Second)
		if errors.Is(err, nats.ErrNoResponders) {
			return errors.New("unavailable: nobody serves this subject")
		}
		if err != nil {
			return err
		}
		if len(reply.Data) == 0 { // an empty message ends the stream; its headers hold the status
			fmt.Println()
			if code := reply.Header.Get("Nats-Service-Error-Code"); code != "" {
				return fmt.Errorf("error %s: %s", code, reply.Header.Get("Nats-Service-Error"))
			}
			return nil
		}
		var chunk struct{ Content string }
		if err := contract.Decode("ChatStreamChunk", reply.Data, &chunk); err != nil {
			return err
		}
		fmt.Print(chunk.Content)
	}
}
