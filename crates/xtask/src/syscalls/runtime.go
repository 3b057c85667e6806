// What a plugin in Go may have its runtime call: goroutines, the collector, timers, files, an HTTP server and its client.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

func main() {
	dir := os.Args[1]
	var all sync.WaitGroup
	for number := 0; number < 16; number++ {
		all.Add(1)
		go func() {
			defer all.Done()
			much := make([]byte, 4<<20)
			rand.Read(much)
			sum := 0
			for round := 0; round < 20; round++ {
				for _, one := range much {
					sum += int(one)
				}
			}
			time.Sleep(5 * time.Millisecond)
			os.WriteFile(filepath.Join(dir, fmt.Sprint("go", sum)), much[:100], 0o644)
		}()
	}
	all.Wait()
	runtime.GC()
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		os.Stat(path)
		os.Rename(path, path+".moved")
		os.Remove(path + ".moved")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) { io.WriteString(to, "hello") })}
	go server.Serve(listener)
	client := &http.Client{Timeout: 5 * time.Second}
	for round := 0; round < 3; round++ {
		answer, err := client.Get("http://" + listener.Addr().String())
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	lookup, end := context.WithTimeout(context.Background(), 2*time.Second)
	net.DefaultResolver.LookupHost(lookup, "localhost")
	net.DefaultResolver.LookupHost(lookup, "watchpost.example")
	end()
	net.Interfaces()
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err == nil {
		datagrams.WriteTo([]byte("x"), datagrams.LocalAddr())
		datagrams.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		datagrams.ReadFrom(make([]byte, 10))
	}
	server.Shutdown(context.Background())
	ticks := time.NewTicker(2 * time.Millisecond)
	for round := 0; round < 5; round++ {
		<-ticks.C
	}
}
