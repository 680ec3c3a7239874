// Tells that a user has signed in, then asks for a greeting and prints it.
//
//	go run ./greeting u1 Ada
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
	if err := greet(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func greet(user, nickname string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
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

	// Nobody answers this one; the confirmation says that it is stored.
	login, err := contract.Encode("LoginEvent", map[string]any{
		"userId": user, "nickname": nickname, "timestamp": time.Now().Unix(),
	})
	if err != nil {
		return err
	}
	stored, err := js.Publish(ctx, "ai.chat.user."+user+".login", login)
	if err != nil {
		return err
	}
	fmt.Printf("stored in %s\n", stored.Stream)

	// All greetings of a user come on one subject: the id tells which.
	id := fmt.Sprintf("go-%d", time.Now().UnixNano())
	request, err := contract.Encode("GreetingRequest", map[string]any{"requestId": id, "nickname": nickname})
	if err != nil {
		return err
	}
	answers, err := nc.SubscribeSync("ai.chat.user." + user + ".greeting.response")
	if err != nil {
		return err
	}
	if _, err := js.Publish(ctx, "ai.chat.user."+user+".greeting.request", request); err != nil {
		return err
	}
	for {
		message, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		var answer struct {
			Error               *contract.Error
			RequestId, Greeting string
		}
		if err := contract.Decode("GreetingResponse", message.Data, &answer); err != nil {
			return err
		}
		if answer.RequestId != id {
			continue
		}
		if answer.Error != nil {
			return fmt.Errorf("%s: %s", answer.Error.Type, answer.Error.Message)
		}
		fmt.Println(answer.Greeting)
		return nil
	}
}
