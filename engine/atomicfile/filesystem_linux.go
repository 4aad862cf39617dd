package atomicfile

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// NetworkFilesystem returns the kind of file system that path is on, by statfs(2), and whether it
// is a network, cluster or shared-folder one: locks and the shared memory of WAL mode may not reach
// from one of its clients to another.
func NetworkFilesystem(path string) (name string, network bool, err error) {
	var stat unix.Statfs_t
	for {
		if err = unix.Statfs(path, &stat); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return "", false, err
	}
	magic := uint32(stat.Type)
	if name, ok := sharedFilesystems[magic]; ok {
		return name, true, nil
	}
	if name, ok := localFilesystems[magic]; ok {
		return name, false, nil
	}
	return fmt.Sprintf("%#x", magic), false, nil
}

// Magic numbers that linux/magic.h does not have, from the file systems' own sources.
const (
	beegfsMagic    = 0x19830326
	fakeownerMagic = 0x6a656a63 // Docker Desktop's view of a host directory
	gfs2Magic      = 0x01161970
	gpfsMagic      = 0x47504653
	jfsMagic       = 0x3153464a
	lustreMagic    = 0x0bd00bd0
	ntfsMagic      = 0x5346544e
	ntfs3Magic     = 0x7366746e
	parallelsMagic = 0x7c7c6673
	vboxsfMagic    = 0x786f4256
	vmhgfsMagic    = 0xbacbacbc
	zfsMagic       = 0x2fc12fc1
)

// sharedFilesystems includes all of FUSE: statfs(2) does not distinguish virtiofs, local and
// network ones.
var sharedFilesystems = map[uint32]string{
	unix.AFS_FS_MAGIC:      "afs",
	unix.AFS_SUPER_MAGIC:   "afs",
	unix.CEPH_SUPER_MAGIC:  "ceph",
	unix.CIFS_SUPER_MAGIC:  "cifs",
	unix.CODA_SUPER_MAGIC:  "coda",
	unix.FUSE_SUPER_MAGIC:  "fuse",
	unix.NCP_SUPER_MAGIC:   "ncpfs",
	unix.NFS_SUPER_MAGIC:   "nfs",
	unix.OCFS2_SUPER_MAGIC: "ocfs2",
	unix.SMB2_SUPER_MAGIC:  "smb2",
	unix.SMB_SUPER_MAGIC:   "smb",
	unix.V9FS_MAGIC:        "9p",
	beegfsMagic:            "beegfs",
	fakeownerMagic:         "fakeowner",
	gfs2Magic:              "gfs2",
	gpfsMagic:              "gpfs",
	lustreMagic:            "lustre",
	parallelsMagic:         "prl_fs",
	vboxsfMagic:            "vboxsf",
	vmhgfsMagic:            "vmhgfs",
}

var localFilesystems = map[uint32]string{
	unix.BCACHEFS_SUPER_MAGIC:  "bcachefs",
	unix.BTRFS_SUPER_MAGIC:     "btrfs",
	unix.ECRYPTFS_SUPER_MAGIC:  "ecryptfs",
	unix.EROFS_SUPER_MAGIC_V1:  "erofs",
	unix.EXFAT_SUPER_MAGIC:     "exfat",
	unix.EXT4_SUPER_MAGIC:      "ext4", // ext2 and ext3 have the same
	unix.F2FS_SUPER_MAGIC:      "f2fs",
	unix.ISOFS_SUPER_MAGIC:     "iso9660",
	unix.MSDOS_SUPER_MAGIC:     "vfat",
	unix.NILFS_SUPER_MAGIC:     "nilfs2",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	unix.RAMFS_MAGIC:           "ramfs",
	unix.REISERFS_SUPER_MAGIC:  "reiserfs",
	unix.SQUASHFS_MAGIC:        "squashfs",
	unix.TMPFS_MAGIC:           "tmpfs",
	unix.UDF_SUPER_MAGIC:       "udf",
	unix.XFS_SUPER_MAGIC:       "xfs",
	jfsMagic:                   "jfs",
	ntfsMagic:                  "ntfs",
	ntfs3Magic:                 "ntfs3",
	zfsMagic:                   "zfs",
}
