// Asks a question on an event subject and prints the answer as it is written.
//
//	go run ./chat-event "What is a claim check?" [USER]
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
	if err := ask(os.Args[1], os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

func ask(question string, user []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	id := fmt.Sprintf("go-%d", time.Now().UnixNano())
	request, err := contract.Encode("ChatRequest", map[string]any{
		"requestId": id, "query": question, "enableStreaming": true,
	})
	if err != nil {
		return err
	}

	// Listen first: the answer may come before the publish is confirmed.
	frames, err := nc.SubscribeSync("ai.chat.response.stream." + id)
	if err != nil {
		return err
	}
	final, err := nc.SubscribeSync("ai.chat.response." + id)
	if err != nil {
		return err
	}
	subject := "ai.chat.request"
	if len(user) > 0 {
		subject = "ai.chat.user." + user[0] + ".message"
	}
	if _, err := js.Publish(ctx, subject, request); err != nil {
		return err
	}

	attempt, sequence := 0, 0
	for {
		message, err := frames.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		var chunk struct {
			Type, Content string
			Done          bool
			Attempt       int
			Sequence      int `json:",string"`
		}
		if err := contract.Decode("ChatStreamChunk", message.Data, &chunk); err != nil {
			return err
		}
		if chunk.Attempt < attempt || chunk.Attempt == attempt && chunk.Sequence <= sequence {
			continue // sent again, or from an attempt that another replica has taken over
		}
		attempt, sequence = chunk.Attempt, chunk.Sequence
		if chunk.Type == "restart" {
			fmt.Println("\n(begun anew)")
		}
		fmt.Print(chunk.Content)
		if chunk.Done {
			break
		}
	}

	message, err := final.NextMsgWithContext(ctx)
	if err != nil {
		return err
	}
	var answer struct {
		Error    *contract.Error
		Response string
		Sources  []struct{ Title string }
	}
	if err := contract.Decode("ChatResponse", message.Data, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return fmt.Errorf("%s: %s", answer.Error.Type, answer.Error.Message)
	}
	fmt.Printf("\n-- %s\n", answer.Response)
	for index, source := range answer.Sources {
		fmt.Printf("[%d] %s\n", index+1, source.Title)
	}
	return nil
}
