// Package waltest makes write-ahead logs for tests, from the text of the file format alone.
package waltest

import (
	"encoding/binary"
	"math/rand/v2"
)

// specSum is the checksum as the file format's text states it, written down apart from the code
// under test.
func specSum(s0, s1 uint32, p []byte, order binary.ByteOrder) (uint32, uint32) {
	for i := 0; i < len(p); i += 8 {
		s0 += order.Uint32(p[i:]) + s1
		s1 += order.Uint32(p[i+4:]) + s0
	}
	return s0, s1
}

// Seal computes every checksum of a WAL again, in the given byte order.
func Seal(wal []byte, pageSize int, order binary.ByteOrder) {
	magic := uint32(0x377f0682)
	if order == binary.ByteOrder(binary.BigEndian) {
		magic |= 1
	}
	binary.BigEndian.PutUint32(wal, magic)
	s0, s1 := specSum(0, 0, wal[:24], order)
	binary.BigEndian.PutUint32(wal[24:], s0)
	binary.BigEndian.PutUint32(wal[28:], s1)
	for frame := wal[32:]; len(frame) >= 24+pageSize; frame = frame[24+pageSize:] {
		s0, s1 = specSum(s0, s1, frame[:8], order)
		s0, s1 = specSum(s0, s1, frame[24:24+pageSize], order)
		binary.BigEndian.PutUint32(frame[16:], s0)
		binary.BigEndian.PutUint32(frame[20:], s1)
	}
}

// Make builds a log of frames of random pages; every third one commits.
func Make(frames, pageSize int, order binary.ByteOrder) []byte {
	wal := make([]byte, 32+frames*(24+pageSize))
	random := rand.NewChaCha8([32]byte{})
	random.Read(wal)
	binary.BigEndian.PutUint32(wal[4:], 3007000)
	binary.BigEndian.PutUint32(wal[8:], uint32(pageSize))
	for i := range frames {
		frame := wal[32+i*(24+pageSize):]
		binary.BigEndian.PutUint32(frame, uint32(i%7+1))
		binary.BigEndian.PutUint32(frame[4:], 0)
		if i%3 == 2 {
			binary.BigEndian.PutUint32(frame[4:], uint32(i+10))
		}
		copy(frame[8:16], wal[16:24])
	}
	Seal(wal, pageSize, order)
	return wal
}
