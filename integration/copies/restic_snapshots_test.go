package copies

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// A resticKey is a repository's master key, as restic cat masterkey prints it.
type resticKey struct {
	MAC     struct{ K, R []byte }
	Encrypt []byte
}

// snapshotAt writes an empty snapshot of that time and host into a restic repository. restic backup
// would take half a second for it. The format is
// https://restic.readthedocs.io/en/stable/design.html
func snapshotAt(b *harness.Bench, key resticKey, host string, at time.Time) {
	b.Helper()
	snapshot, err := json.Marshal(map[string]any{
		"time": at, "hostname": host, "paths": []string{"/app.db"}, "tree": strings.Repeat("0", 64),
	})
	b.Check(err)
	sealed := key.seal(snapshot)
	id := sha256.Sum256(sealed)
	b.Check(os.WriteFile(filepath.Join(b.Path("repository"), "snapshots", hex.EncodeToString(id[:])), sealed, 0o600))
}

// seal encrypts and signs: nonce, AES-256-CTR, Poly1305-AES.
func (k resticKey) seal(text []byte) []byte {
	nonce := make([]byte, aes.BlockSize)
	rand.Read(nonce)
	block, err := aes.NewCipher(k.Encrypt)
	if err != nil {
		panic(err)
	}
	sealed := make([]byte, len(text))
	cipher.NewCTR(block, nonce).XORKeyStream(sealed, text)
	return slices.Concat(nonce, sealed, k.sign(nonce, sealed))
}

// sign is Poly1305-AES: https://cr.yp.to/mac/poly1305-20050329.pdf
func (k resticKey) sign(nonce, message []byte) []byte {
	mask, _ := new(big.Int).SetString("0ffffffc0ffffffc0ffffffc0fffffff", 16)
	r := new(big.Int).And(littleEndian(k.MAC.R), mask)
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	sum := new(big.Int)
	for chunk := range slices.Chunk(message, 16) {
		sum.Add(sum, littleEndian(append(slices.Clone(chunk), 1)))
		sum.Mod(sum.Mul(sum, r), prime)
	}
	block, err := aes.NewCipher(k.MAC.K)
	if err != nil {
		panic(err)
	}
	pad := make([]byte, aes.BlockSize)
	block.Encrypt(pad, nonce)
	sum.Add(sum, littleEndian(pad))
	sum.And(sum, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)))
	tag := sum.FillBytes(make([]byte, 16))
	slices.Reverse(tag)
	return tag
}

func littleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}
