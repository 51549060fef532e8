#include "runtime/runtime_priv.h"
int doctor_handle(void *ctx, struct helper_request *q, struct str payload, int fd, struct err *e)
{
    (void)ctx;
    (void)q;
    (void)payload;
    (void)fd;
    return err_set(e, ERR_UNSUPPORTED, "no");
}
int runtime_doctor(enum doctor_mode mode, doctor_row *row, void *ctx)
{
    (void)mode;
    (void)row;
    (void)ctx;
    return 0;
}
