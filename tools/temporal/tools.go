//go:build tools

// Package tools pins the Temporal CLI, which holds the dev server, for machines that can download Go modules only.
// Build it: go build -trimpath -o temporal github.com/temporalio/cli/cmd/temporal
package tools

import _ "github.com/temporalio/cli/cmd/temporal"
