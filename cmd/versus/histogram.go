package main

import (
	"math/bits"
	"time"
)

// histogram counts times. Its buckets are a thirty-second of their times wide, so
// a time that is read from it is too long by that much at most. It is for one
// goroutine at a time.
type histogram struct {
	Counts []uint32 // by bucket, as far as they are in use
	Total  int64
}

const (
	bucketBits = 5 // each doubling has 32 buckets
	buckets    = 1 << bucketBits
)

// bucketOf is the bucket of a time. Below 32 ns each nanosecond has its own.
func bucketOf(d time.Duration) int {
	n := uint64(max(0, d))
	if n < buckets {
		return int(n)
	}
	doublings := bits.Len64(n) - bucketBits - 1
	return doublings*buckets + int(n>>doublings)
}

// longest is the longest time of a bucket.
func longest(bucket int) time.Duration {
	if bucket < 2*buckets {
		return time.Duration(bucket)
	}
	doublings := bucket/buckets - 1
	first := bucket - doublings*buckets
	return time.Duration(first+1)<<doublings - 1
}

// add counts a time; one that is negative counts as none.
func (h *histogram) add(d time.Duration) {
	b := bucketOf(d)
	for b >= len(h.Counts) {
		h.Counts = append(h.Counts, make([]uint32, buckets)...)
	}
	h.Counts[b]++
	h.Total++
}

// merge adds what another one has counted.
func (h *histogram) merge(o *histogram) {
	if missing := len(o.Counts) - len(h.Counts); missing > 0 {
		h.Counts = append(h.Counts, make([]uint32, missing)...)
	}
	for b, n := range o.Counts {
		h.Counts[b] += n
	}
	h.Total += o.Total
}

// quantile is the time that a share of all did not exceed; 0 of none.
func (h *histogram) quantile(share float64) time.Duration {
	rank := max(1, int64(share*float64(h.Total)+0.999999))
	for b, n := range h.Counts {
		if rank -= int64(n); rank <= 0 {
			return longest(b)
		}
	}
	return 0
}
