#include "exporter/collect.h"

int collect_lustre(struct node *n UNUSED, struct page *p UNUSED, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "Lustre is not mounted");
}
