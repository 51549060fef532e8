#include "logo.h"

#include "base/limits.h"

#include <string.h>

static unsigned byte_at(struct str s, size_t i)
{
    return (unsigned char)s.p[i];
}

static unsigned be16(struct str s, size_t i)
{
    return byte_at(s, i) << 8 | byte_at(s, i + 1);
}

static unsigned le16(struct str s, size_t i)
{
    return byte_at(s, i) | byte_at(s, i + 1) << 8;
}

static bool has_at(struct str s, size_t i, const char *bytes, size_t n)
{
    return s.len >= i + n && memcmp(s.p + i, bytes, n) == 0;
}

static bool read_png(struct str s, struct logo *out)
{
    enum { WIDTH_AT = 16, HEAD = 24 };

    if (s.len < HEAD || !has_at(s, 12, "IHDR", 4)) {
        return false;
    }
    /* A side past 65535 is too large in any case. */
    out->width = be16(s, WIDTH_AT) ? 65535 : be16(s, WIDTH_AT + 2);
    out->height = be16(s, WIDTH_AT + 4) ? 65535 : be16(s, WIDTH_AT + 6);
    return true;
}

/* SOF0 to SOF15, but for DHT, JPG and DAC, which stand among them. */
static bool is_frame(unsigned marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* Segments up to the frame's, which tells the size; before it there is no entropy-coded data. */
static bool read_jpeg(struct str s, struct logo *out)
{
    enum { FRAME = 7 }; /* length, precision, height, width */
    size_t at = 2;

    while (at + 4 <= s.len && byte_at(s, at) == 0xff) {
        unsigned marker = byte_at(s, at + 1);

        if (marker == 0xff) { /* a fill byte */
            at++;
            continue;
        }
        if (is_frame(marker)) {
            if (at + 2 + FRAME > s.len) {
                return false;
            }
            out->height = be16(s, at + 5);
            out->width = be16(s, at + 7);
            return true;
        }
        if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xda) || be16(s, at + 2) < 2) {
            return false; /* one without a length, or the scan before its frame */
        }
        at += 2 + be16(s, at + 2);
    }
    return false;
}

static bool read_webp(struct str s, struct logo *out)
{
    enum { DATA = 20, HEAD = 30 };

    if (s.len < HEAD) {
        return false;
    }
    if (has_at(s, 12, "VP8 ", 4) && has_at(s, DATA + 3, "\x9d\x01\x2a", 3)) {
        out->width = le16(s, DATA + 6) & 0x3fff;
        out->height = le16(s, DATA + 8) & 0x3fff;
        return true;
    }
    if (has_at(s, 12, "VP8L", 4) && byte_at(s, DATA) == 0x2f) {
        unsigned low = le16(s, DATA + 1), high = le16(s, DATA + 3);

        out->width = (low & 0x3fff) + 1;
        out->height = ((low >> 14 | high << 2) & 0x3fff) + 1;
        return true;
    }
    if (has_at(s, 12, "VP8X", 4)) {
        out->width = (le16(s, DATA + 4) | byte_at(s, DATA + 6) << 16) + 1;
        out->height = (le16(s, DATA + 7) | byte_at(s, DATA + 9) << 16) + 1;
        return true;
    }
    return false;
}

int logo_read(struct str bytes, struct logo *out, struct err *e)
{
    bool is_whole;

    *out = (struct logo){.type = NULL};
    if (has_at(bytes, 0, "\x89PNG\r\n\x1a\n", 8)) {
        out->type = "image/png";
        is_whole = read_png(bytes, out);
    } else if (has_at(bytes, 0, "\xff\xd8\xff", 3)) {
        out->type = "image/jpeg";
        is_whole = read_jpeg(bytes, out);
    } else if (has_at(bytes, 0, "RIFF", 4) && has_at(bytes, 8, "WEBP", 4)) {
        out->type = "image/webp";
        is_whole = read_webp(bytes, out);
    } else {
        return err_set(e, ERR_INVALID, "a logo is a PNG, JPEG or WebP picture");
    }
    if (!is_whole || out->width == 0 || out->height == 0) {
        return err_set(e, ERR_INVALID, "the picture is broken: it does not tell its size");
    }
    return out->width <= LIMIT_LOGO_PIXELS && out->height <= LIMIT_LOGO_PIXELS
               ? 0
               : err_set(e, ERR_INVALID, "the picture has %u x %u pixels: at most %d x %d",
                         out->width, out->height, LIMIT_LOGO_PIXELS, LIMIT_LOGO_PIXELS);
}
