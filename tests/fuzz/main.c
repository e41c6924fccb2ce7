/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a fuzz target over its corpus without a fuzzer, and over simple mutations of it (each byte
 * flipped, each length cut), so that `make check` replays what fuzzing found.
 *   fuzz_x FILE...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target sees a block of exactly `n` bytes, so that a sanitizer sees a read past the end. */
static void
run(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        exit(2);
    if (n)
        memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void
run_file(const char *path)
{
    static uint8_t buf[65536];
    FILE          *f = fopen(path, "rb");
    size_t         n;

    if (!f) {
        perror(path);
        exit(2);
    }
    n = fread(buf, 1, sizeof(buf), f);
    fclose(f);
    run(buf, n);
    for (size_t i = 0; i < n && i < 512; i++) {
        run(buf, i);
        for (int bit = 0; bit < 8; bit++) {
            buf[i] = (uint8_t)(buf[i] ^ 1u << bit);
            run(buf, n);
            buf[i] = (uint8_t)(buf[i] ^ 1u << bit);
        }
    }
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    printf("%d inputs\n", argc - 1);
    return 0;
}
