// Package lint is the house rules as tests: go test ./internal/lint reads every Go file of the module and fails where one of
// them is broken. It has no code of its own that others could import.
//
// The rules: every package says what it is (5 to 40 lines); imports point down (see the layers in layers_test.go); pure
// packages read no clock and start no goroutine; no init functions, no package called util; tests do not sleep; every public
// package has a runnable example; every decoder named in decoders_test.go has a fuzz target; go.mod pins exact releases.
package lint
