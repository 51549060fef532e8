/* user, /etc/passwd and /etc/group of an image, NUL between them: all three are the image's. */
#include "runtime/runtime_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_n((const char *)data, size);
    struct str user = str_cut(&rest, '\0'), passwd, group;
    struct image_user u;
    struct err e;

    passwd = rest.p ? str_cut(&rest, '\0') : STR_EMPTY;
    group = rest.p ? rest : STR_EMPTY;
    if (image_user_resolve(user, passwd, group, &u, &e) == 0 &&
        (u.uid >= RUNTIME_IDS || u.gid >= RUNTIME_IDS || u.n_groups > RUNTIME_GROUPS_MAX ||
         u.home[0] != '/')) {
        abort();
    }
    return 0;
}
