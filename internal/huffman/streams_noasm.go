//go:build !amd64 || noasm

package huffman

func blocks(int) int { return 0 }

func writeBlocks(*state, *byte, *byte, int, *tables) {}
