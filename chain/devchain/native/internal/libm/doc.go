// Package libm computes exp and pow bit for bit as the chain's runtime does.
//
// Rewards, registration costs and subnet weights pass through floating point,
// and a runtime compiled to WebAssembly brings its own exp and pow: those of
// the classic Sun library that FreeBSD, musl and the Rust crate libm share.
// Go's own functions use other algorithms or assembly and may differ in the
// last bit, which would be a difference in planck. Every product is converted
// explicitly, so that no compiler fuses it with an addition.
//
// The algorithms are those of e_exp.c and e_pow.c:
//
//	Copyright (C) 1993, 2004 by Sun Microsystems, Inc. All rights reserved.
//	Permission to use, copy, modify, and distribute this software is freely
//	granted, provided that this notice is preserved.
//
// The package is pure.
package libm
