/* Interrupts, each of them on each processor. Off unless asked for: large machines have thousands.
 */
#include "exporter/collect.h"

#include "base/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t words_of(struct str line)
{
    size_t n = 0;

    while (text_word(&line).len > 0) {
        n++;
    }
    return n;
}

/* The words that are left, one blank between them. */
static const char *rest_of(struct node *n, struct str line)
{
    char *out = arena_alloc(&n->arena, line.len + 1);
    size_t len = 0;

    for (struct str word; (word = text_word(&line)).len > 0;) {
        if (len > 0) {
            out[len++] = ' ';
        }
        memcpy(out + len, word.p, word.len);
        len += word.len;
    }
    out[len] = '\0';
    return out;
}

/* " 24: 1 0 IO-APIC 5-edge ACPI:Ged", "NMI: 0 0 Non-maskable interrupts", "ERR: 0". */
static void show_line(struct node *n, struct page *p, struct str line, size_t cpus)
{
    struct str name = str_trim(str_cut(&line, ':')), counts = line;
    const char *type, *info, *devices;
    uint64_t number;

    if (!line.p || words_of(line) < cpus + 1) {
        return; /* ERR and MIS count all processors together */
    }
    for (size_t cpu = 0; cpu < cpus; cpu++) {
        (void)text_word(&line);
    }
    type = arena_strdup(&n->arena, name);
    if (str_to_u64(name, &number) == 0) {
        info = arena_strdup(&n->arena, text_word(&line));
        devices = rest_of(n, line);
    } else {
        info = rest_of(n, line);
        devices = "";
    }
    for (size_t cpu = 0; cpu < cpus; cpu++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%zu", cpu);
        page_add(p, text_or(text_word(&counts), 0), "cpu", text, "devices", devices, "info", info,
                 "type", type, NULL);
    }
}

int collect_interrupts(struct node *n, struct page *p, struct err *e)
{
    struct str text;
    size_t cpus;

    if (node_read(n, NODE_PROC, &text, e, "interrupts") < 0) {
        return -1;
    }
    cpus = words_of(text_line(&text));
    if (cpus == 0 || cpus > LIMIT_NODE_CPUS) {
        return err_set(e, ERR_INVALID, "/proc/interrupts has %zu processors", cpus);
    }
    page_family(p, "node_interrupts_total", PAGE_COUNTER, "Interrupt details.");
    while (text.len > 0) {
        show_line(n, p, text_line(&text), cpus);
    }
    return 0;
}
