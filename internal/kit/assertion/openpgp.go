package assertion

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
)

// Keys and signatures of assertions are OpenPGP packets (RFC 4880). snapd writes two kinds of them: RSA keys, and signatures
// of these with SHA512, both of version 4. This file reads these two and nothing else: a whole library for OpenPGP would be
// 1.6 MB of the binary, and would have many more ways to be wrong. A test compares the two.
const (
	tagSignature = 2
	tagPublicKey = 6

	packetVersion = 4
	rsaGeneral    = 1
	rsaSignOnly   = 3
	hashSHA512    = 10

	mostModulusBits = 16384 // the work of a check grows with it; snapd's keys have 4096
)

// readPacket reads the header of the first packet: its tag, and its contents. It ignores what follows the packet.
func readPacket(raw []byte) (tag byte, contents cryptobyte.String, err error) {
	text := cryptobyte.String(raw)
	var first, size byte
	if !text.ReadUint8(&first) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	if first&0x80 == 0 {
		return 0, nil, errors.New("no OpenPGP packet")
	}
	var length uint32
	ok := true
	if first&0x40 == 0 { // old format
		tag = first & 0x3f >> 2
		switch first & 3 {
		case 0:
			ok = text.ReadUint8(&size)
			length = uint32(size)
		case 1:
			var short uint16
			ok = text.ReadUint16(&short)
			length = uint32(short)
		case 2:
			ok = text.ReadUint32(&length)
		default: // up to the end
			return tag, text, nil
		}
	} else {
		tag = first & 0x3f
		ok = text.ReadUint8(&size)
		switch {
		case size < 192:
			length = uint32(size)
		case size < 224:
			var second byte
			ok = ok && text.ReadUint8(&second)
			length = uint32(size-192)<<8 + uint32(second) + 192
		case size == 255:
			ok = ok && text.ReadUint32(&length)
		default:
			return 0, nil, errors.New("OpenPGP packet of partial length")
		}
	}
	if !ok || !text.ReadBytes((*[]byte)(&contents), int(length)) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return tag, contents, nil
}

// readNumber reads a multiprecision integer.
func readNumber(text *cryptobyte.String) (*big.Int, bool) {
	var bits uint16
	var bytes []byte
	if !text.ReadUint16(&bits) || !text.ReadBytes(&bytes, (int(bits)+7)/8) {
		return nil, false
	}
	return new(big.Int).SetBytes(bytes), true
}

// readPublicKey reads an RSA key.
func readPublicKey(raw []byte) (*rsa.PublicKey, error) {
	tag, text, err := readPacket(raw)
	if err != nil {
		return nil, err
	}
	var version, algorithm byte
	switch {
	case tag != tagPublicKey:
		return nil, errors.New("expected RSA public key")
	case !text.ReadUint8(&version) || !text.Skip(4) || !text.ReadUint8(&algorithm): // 4 bytes: when it was made
		return nil, io.ErrUnexpectedEOF
	case version != packetVersion:
		return nil, fmt.Errorf("unsupported version of a public key: %d", version)
	case algorithm != rsaGeneral && algorithm != rsaSignOnly:
		return nil, errors.New("expected RSA public key")
	}
	modulus, ok := readNumber(&text)
	exponent, also := readNumber(&text)
	switch {
	case !ok || !also:
		return nil, io.ErrUnexpectedEOF
	case modulus.BitLen() > mostModulusBits:
		return nil, fmt.Errorf("RSA key of %d bits: at most %d are read", modulus.BitLen(), mostModulusBits)
	case exponent.BitLen() > 31:
		return nil, errors.New("RSA key with a public exponent of more than 31 bits")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

// A signature is an RSA signature of a content with SHA512.
type signature struct {
	signed []byte // the part of the packet that is signed beside the content
	number *big.Int
}

// readSignature reads a signature.
func readSignature(raw []byte) (*signature, error) {
	tag, text, err := readPacket(raw)
	if err != nil {
		return nil, err
	}
	if tag != tagSignature {
		return nil, errors.New("expected signature")
	}
	whole := text
	var version, kind, algorithm, hash byte
	var hashed, plain cryptobyte.String
	if !text.ReadUint8(&version) || !text.ReadUint8(&kind) || !text.ReadUint8(&algorithm) || !text.ReadUint8(&hash) ||
		!text.ReadUint16LengthPrefixed(&hashed) {
		return nil, io.ErrUnexpectedEOF
	}
	signed := whole[:len(whole)-len(text)]
	switch {
	case version != packetVersion:
		return nil, fmt.Errorf("unsupported version: %d", version)
	case algorithm != rsaGeneral && algorithm != rsaSignOnly:
		return nil, errors.New("expected an RSA signature")
	case hash != hashSHA512:
		return nil, errors.New("expected SHA512 digest")
	}
	headed := text.ReadUint16LengthPrefixed(&plain) && text.Skip(2) // the first two bytes of the digest
	number, ok := readNumber(&text)
	if !headed || !ok {
		return nil, io.ErrUnexpectedEOF
	}
	return &signature{signed, number}, nil
}

// by reports whether the owner of a key has signed the content.
func (s *signature) by(key *rsa.PublicKey, content []byte) bool {
	digest := sha512.New()
	var trailer cryptobyte.Builder
	trailer.AddBytes([]byte{packetVersion, 0xff})
	trailer.AddUint32(uint32(len(s.signed)))
	for _, part := range [][]byte{content, s.signed, trailer.BytesOrPanic()} {
		_, _ = digest.Write(part) // a hash never fails
	}
	size := key.Size()
	return s.number.BitLen() <= size*8 &&
		rsa.VerifyPKCS1v15(key, crypto.SHA512, digest.Sum(nil), s.number.FillBytes(make([]byte, size))) == nil
}
