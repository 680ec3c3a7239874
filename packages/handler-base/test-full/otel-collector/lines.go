// The exporter "lines": appends each batch to a file, one line of OTLP/JSON a batch, whole or not at all.
package main

import (
	"context"
	"errors"
	"os"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

type linesConfig struct {
	Path string `mapstructure:"path"`
}

func (config *linesConfig) Validate() error {
	if config.Path == "" {
		return errors.New("path: name the file that is written")
	}
	return nil
}

// lines is what the exporters of the three signals have in common. Each has the file open for itself: appends of one write do not mix.
type lines struct {
	component.StartFunc
	file *os.File
}

func openLines(config component.Config) (lines, error) {
	file, err := os.OpenFile(config.(*linesConfig).Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return lines{file: file}, err
}

func (to lines) Shutdown(context.Context) error { return to.file.Close() }

func (to lines) write(line []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = to.file.Write(append(line, '\n'))
	return err
}

type traceLines struct {
	lines
	consumer.Traces
}

type metricLines struct {
	lines
	consumer.Metrics
}

type logLines struct {
	lines
	consumer.Logs
}

func newLinesFactory() exporter.Factory {
	return exporter.NewFactory(
		component.MustNewType("lines"),
		func() component.Config { return &linesConfig{} },
		exporter.WithTraces(openTraces, component.StabilityLevelDevelopment),
		exporter.WithMetrics(openMetrics, component.StabilityLevelDevelopment),
		exporter.WithLogs(openLogs, component.StabilityLevelDevelopment),
	)
}

func openTraces(_ context.Context, _ exporter.Settings, config component.Config) (exporter.Traces, error) {
	to, err := openLines(config)
	if err != nil {
		return nil, err
	}
	traces, err := consumer.NewTraces(func(_ context.Context, batch ptrace.Traces) error {
		return to.write((&ptrace.JSONMarshaler{}).MarshalTraces(batch))
	})
	return traceLines{to, traces}, err
}

func openMetrics(_ context.Context, _ exporter.Settings, config component.Config) (exporter.Metrics, error) {
	to, err := openLines(config)
	if err != nil {
		return nil, err
	}
	metrics, err := consumer.NewMetrics(func(_ context.Context, batch pmetric.Metrics) error {
		return to.write((&pmetric.JSONMarshaler{}).MarshalMetrics(batch))
	})
	return metricLines{to, metrics}, err
}

func openLogs(_ context.Context, _ exporter.Settings, config component.Config) (exporter.Logs, error) {
	to, err := openLines(config)
	if err != nil {
		return nil, err
	}
	logs, err := consumer.NewLogs(func(_ context.Context, batch plog.Logs) error {
		return to.write((&plog.JSONMarshaler{}).MarshalLogs(batch))
	})
	return logLines{to, logs}, err
}
