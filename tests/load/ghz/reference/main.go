// What ghz itself makes of things, as JSON from stdin to stdout:
//
//	reference print      {"report": a report of JSON, "format": …} -> the text ghz prints
//	reference templates  ["{{…}}", …] -> [{"text": …} or {"error": …}, …]
//	reference pacing     [{"start": …, "elapsed": [ns, …], "calls": [n, …], …}, …] -> [[ns, …], …]
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
	"github.com/bojand/ghz/load"
	"github.com/bojand/ghz/printer"
	"github.com/bojand/ghz/runner"
)

type result struct {
	Text  string `json:"text"`
	Error string `json:"error,omitempty"`
}

type pace struct {
	Start, End, Calls uint64
	Step              int64
	StepNs, MaxNs     int64
	Points            [][2]int64
}

func check(err error) {
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

func print() {
	var in struct {
		Report runner.Report
		Format string
	}
	check(json.NewDecoder(os.Stdin).Decode(&in))
	shown := printer.ReportPrinter{Out: os.Stdout, Report: &in.Report}
	check(shown.Print(in.Format))
}

func apply(source string) result {
	parsed, err := template.New("t").Funcs(template.FuncMap(sprig.FuncMap())).Parse(source)
	if err != nil {
		return result{Error: err.Error()}
	}
	var out bytes.Buffer
	data := runner.CallData{WorkerID: "g0c0", RequestNumber: 7, MethodName: "Say"}
	if err = parsed.Execute(&out, &data); err != nil {
		return result{Error: err.Error()}
	}
	return result{Text: out.String()}
}

func templates() []result {
	var sources []string
	check(json.NewDecoder(os.Stdin).Decode(&sources))
	results := []result{}
	for _, source := range sources {
		results = append(results, apply(source))
	}
	return results
}

func pacer(in pace) load.Pacer {
	start, stop := load.ConstantPacer{Freq: in.Start}, load.ConstantPacer{Freq: in.End}
	if in.Step == 0 {
		return &start
	}
	return &load.StepPacer{
		Start: start, Stop: stop, Step: in.Step,
		StepDuration: time.Duration(in.StepNs), LoadDuration: time.Duration(in.MaxNs),
	}
}

func pacing() [][]int64 {
	var sources []pace
	check(json.NewDecoder(os.Stdin).Decode(&sources))
	results := [][]int64{}
	for _, in := range sources {
		paced, waits := pacer(in), []int64{}
		for _, point := range in.Points {
			wait, _ := paced.Pace(time.Duration(point[0]), uint64(point[1]))
			waits = append(waits, int64(wait))
		}
		results = append(results, waits)
	}
	return results
}

func main() {
	switch os.Args[1] {
	case "print":
		print()
	case "templates":
		check(json.NewEncoder(os.Stdout).Encode(templates()))
	case "pacing":
		check(json.NewEncoder(os.Stdout).Encode(pacing()))
	}
}
