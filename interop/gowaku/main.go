// Command gowaku is go-waku (and go-noise) as a foreign peer: it drives both by the line protocol of ../LINE_PROTOCOL.md.
package main

import "os"

func main() {
	// go-waku logs to standard output, and that is the runner's here: for all but the answers it is standard error.
	runner := os.Stdout
	os.Stdout = os.Stderr
	d := newDriver(&lines{out: runner})
	if err := d.serve(os.Stdin); err != nil {
		os.Stderr.WriteString("reading questions: " + err.Error() + "\n")
	}
	d.stop()
}
