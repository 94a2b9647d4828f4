package torch

import "io"

// Record is a stored entry of an archive, and the checksum that it was written with.
type Record struct {
	Name        string // below the folder of the archive
	Begin, Size int64  // of its bytes in the file
	CRC         uint32 // the zip file's CRC-32 (IEEE) of them
}

// Records lists what is stored in the archive that takes bytes [begin, begin+size) of a file, in the order of the directory. summed is false where
// it was saved without checksums (torch.serialization.set_crc32_options(False)): all are 0 then.
func Records(path string, r io.ReaderAt, begin, size int64) (list []Record, summed bool, err error) {
	var sums []uint32
	a, err := readArchiveWith(path, r, begin, size, func(crc uint32) { sums = append(sums, crc) })
	if err != nil {
		return nil, false, err
	}
	for i, e := range a.entries {
		list = append(list, Record{e.name, begin + e.data, e.size, sums[i]})
		summed = summed || sums[i] != 0
	}
	return list, summed, nil
}
