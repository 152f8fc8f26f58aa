// Command service answers HTTP requests on port 8080. With -once it answers
// one request of its own and ends.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	once := flag.Bool("once", false, "answer one request of our own")
	flag.Parse()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s\n", r.URL.Path[1:])
	})
	l, err := net.Listen("tcp", ":8080")
	if err != nil {
		log.Fatal(err)
	}
	if !*once {
		log.Fatal(http.Serve(l, nil))
	}
	go http.Serve(l, nil)
	r, err := http.Get("http://127.0.0.1:8080/you")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(os.Stdout, r.Body); err != nil {
		log.Fatal(err)
	}
}
