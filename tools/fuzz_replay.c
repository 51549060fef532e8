/* Runs a fuzz target over every file of the corpus folders given: the corpus as a normal test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *dir, const char *name)
{
    char path[4096];
    uint8_t *bytes = malloc(1 << 20);
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    if (f == NULL || bytes == NULL) {
        perror(path);
        return -1;
    }
    n = fread(bytes, 1, 1 << 20, f);
    (void)fclose(f);
    (void)LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        struct dirent *ent;

        if (d == NULL) {
            perror(argv[i]);
            return 1;
        }
        while ((ent = readdir(d))) {
            if (ent->d_name[0] != '.' && replay(argv[i], ent->d_name) < 0) {
                return 1;
            }
            count += ent->d_name[0] != '.';
        }
        (void)closedir(d);
    }
    printf("%d inputs\n", count);
    return count == 0; /* an empty corpus proves nothing */
}
