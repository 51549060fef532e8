#include "algorithms/kernel/failure.h"

int failure_exit_code(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE:
        return EXIT_DONE;
    case ERR_INVALID:
    case ERR_NOT_FOUND:
    case ERR_FORBIDDEN:
    case ERR_UNSUPPORTED:
        return EXIT_USER;
    case ERR_DATA:
    case ERR_LIMIT:
        return EXIT_DATA;
    case ERR_MEMORY:
        return EXIT_MEMORY;
    default:
        return EXIT_OURS;
    }
}

const char *failure_name(enum err_kind kind)
{
    static const char *const names[] = {"none", "internal", "usage", "data", "memory"};

    return names[failure_exit_code(kind)];
}
