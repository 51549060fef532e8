#include "algorithms/kernel/file_digest.h"

#include "algorithms/kernel/binary.h"

/* The functions below EVP: linked statically EVP brings all of libcrypto, 3 MB to a program of one.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

int file_digest(const char *path, char hex[FILE_DIGEST_TEXT], uint64_t *bytes, struct err *e)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA256_DIGEST_LENGTH];
    SHA256_CTX c;
    void *map;
    size_t len;

    if (map_file(path, &map, &len, e) < 0) {
        return -1;
    }
    (void)SHA256_Init(&c); /* these cannot fail */
    (void)SHA256_Update(&c, map ? map : "", len);
    (void)SHA256_Final(sum, &c);
    unmap_file(map, len);
    for (size_t i = 0; i < sizeof(sum); i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    hex[FILE_DIGEST_TEXT - 1] = '\0';
    *bytes = len;
    return 0;
}
