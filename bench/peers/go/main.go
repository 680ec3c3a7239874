// The Go peer of the bench: what the same work costs over nats.go and google.golang.org/protobuf, with nothing around it.
//
//	MODE=echo     answers on SUBJECT from the queue group q
//	MODE=consume  pulls DURABLE of STREAM, answers on REPLIES.{request_id}, acknowledges
//	MODE=publish  publishes COUNT messages of SIZE bytes on SUBJECT with acknowledgements, prints the seconds
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	echov1 "handlers.example/bench/gen/echo/v1"
)

func main() {
	nc := must(nats.Connect(os.Getenv("NATS_URL"), nats.Name("go-peer")))
	switch os.Getenv("MODE") {
	case "echo":
		must(nc.QueueSubscribe(os.Getenv("SUBJECT"), "q", func(message *nats.Msg) {
			_, body := answer(message.Data)
			check(message.Respond(body))
		}))
	case "consume":
		consume(nc)
	case "publish":
		publish(nc)
		return
	}
	check(nc.Flush())
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	check(nc.Drain())
}

func answer(data []byte) (string, []byte) {
	request := &echov1.EchoRequest{}
	check(proto.Unmarshal(data, request))
	response := &echov1.EchoResponse{RequestId: request.RequestId, Text: request.Text, Data: request.Data, Attempt: 1}
	return request.RequestId, must(proto.Marshal(response))
}

func consume(nc *nats.Conn) {
	js := must(jetstream.New(nc))
	consumer := must(js.Consumer(context.Background(), os.Getenv("STREAM"), os.Getenv("DURABLE")))
	replies := os.Getenv("REPLIES")
	must(consumer.Consume(func(message jetstream.Msg) {
		id, body := answer(message.Data())
		check(nc.Publish(replies+"."+id, body))
		check(message.Ack())
	}, jetstream.PullMaxMessages(number("IN_FLIGHT"))))
}

func publish(nc *nats.Conn) {
	js := must(jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(256)))
	body := make([]byte, number("SIZE"))
	start := time.Now()
	for n := number("COUNT"); n > 0; n-- {
		must(js.PublishAsync(os.Getenv("SUBJECT"), body))
	}
	<-js.PublishAsyncComplete()
	fmt.Printf("{\"seconds\":%f}\n", time.Since(start).Seconds())
}

func number(name string) int { return must(strconv.Atoi(os.Getenv(name))) }

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
