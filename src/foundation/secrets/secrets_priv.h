/* secrets_priv - sealing one value (seal.c) and the key file (key.c). */
#pragma once
#include "secrets/secrets.h"

enum { KEY_BYTES = 32, NONCE_BYTES = 12, TAG_BYTES = 16 };

/* AES-256-GCM (NIST SP 800-38D): `sealed` receives the ciphertext and then the tag. The nonce is
 * random: 2^32 values under one key keep the chance of a repetition below 2^-32. */
int secrets_seal(const unsigned char key[KEY_BYTES], const unsigned char nonce[NONCE_BYTES],
                 struct str aad, struct str plain, struct buf *sealed, struct err *e) MUST_USE;
/* ERR_IO when it was changed, belongs to another name or was sealed under another key. */
int secrets_unseal(const unsigned char key[KEY_BYTES], const unsigned char nonce[NONCE_BYTES],
                   struct str aad, struct str sealed, struct buf *plain, struct err *e) MUST_USE;

/* 64 hexadecimal digits and a newline. 0 read, 1 there is no such file. */
int secrets_key_read(const char *path, unsigned char key[KEY_BYTES], struct err *e) MUST_USE;
int secrets_key_make(const char *path, unsigned char key[KEY_BYTES], struct err *e) MUST_USE;
