// Package python holds the tests against real, unmodified Python nodes: hivemind from PyPI and the daemon
// that its wheel brings.
//
// They need an environment that setup.sh makes, and are skipped without it:
//
//	MESH_PYTHON=$(interop/python/setup.sh) go test ./interop/python
//
// Where MESH_PYTHON_MESH names a checkout of the Python mesh as well, for both commands, the same tests run with its
// peers too. Swarms of many nodes are run.sh's: with hivemind, with hivemind and signatures, and with the Python mesh.
//
// The Python side is a small program that hides hivemind behind JSON lines, so that the tests are written in
// Go. Everything runs on loopback, without port mapping.
package python
