#include "net/net_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/epoll.h>

static int tls_error(struct err *e, const char *what, const char *path)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return err_set(e, ERR_INVALID, "%s %s: %s", what, path ? path : "",
                   reason ? reason : "unknown TLS error");
}

/* ALPN: we speak HTTP/1.1 whatever else is offered; nginx in front speaks HTTP/2. */
static int choose_protocol(SSL *tls UNUSED, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *ctx UNUSED)
{
    static const unsigned char ours[] = "\x08http/1.1";

    if (SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof(ours) - 1, in, in_len) ==
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

DEFINE_SCOPED(struct ssl_ctx_st, tls_context_free)

struct ssl_ctx_st *tls_context_new(const char *cert, const char *key, struct err *e)
{
    static const unsigned char session_id[] = "strata";
    SCOPED(tls_context_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL) {
        tls_error(e, "starting TLS", NULL);
        return NULL;
    }
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* RELEASE_BUFFERS: 34 KiB less for every idle connection */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_id_context(ctx, session_id, sizeof(session_id) - 1);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) {
        tls_error(e, "net.tls_cert: reading the certificate", cert);
        return NULL;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
        tls_error(e, "net.tls_key: reading the key", key);
        return NULL;
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        tls_error(e, "net.tls_key does not belong to the certificate:", key);
        return NULL;
    }
    return TAKE(ctx);
}

void tls_context_free(struct ssl_ctx_st *ctx)
{
    SSL_CTX_free(ctx);
}

struct ssl_st *tls_new(struct ssl_ctx_st *ctx, int fd)
{
    SSL *tls = SSL_new(ctx);

    if (tls && SSL_set_fd(tls, fd) == 1) {
        SSL_set_accept_state(tls);
        return tls;
    }
    ERR_clear_error();
    SSL_free(tls);
    return NULL;
}

void tls_free(struct ssl_st *tls)
{
    SSL_free(tls);
}

/* Turns the result of an SSL_* call into the ways of read(2) and write(2). */
static ssize_t result_of(SSL *tls, int rc, unsigned *wants)
{
    switch (SSL_get_error(tls, rc)) {
    case SSL_ERROR_WANT_READ:
        *wants = EPOLLIN;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        *wants = EPOLLOUT;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        errno = errno == 0 || errno == EAGAIN ? EPROTO : errno;
        ERR_clear_error();
        return -1;
    }
}

int tls_handshake(struct ssl_st *tls, unsigned *wants)
{
    int rc;

    ERR_clear_error();
    errno = 0;
    rc = SSL_accept(tls);
    if (rc == 1) {
        return 1;
    }
    return result_of(tls, rc, wants) < 0 && errno == EAGAIN ? 0 : -1;
}

ssize_t tls_recv(struct ssl_st *tls, void *p, size_t n, unsigned *wants)
{
    int rc;

    ERR_clear_error();
    errno = 0;
    rc = SSL_read(tls, p, n < INT32_MAX ? (int)n : INT32_MAX);
    return rc > 0 ? rc : result_of(tls, rc, wants);
}

ssize_t tls_send(struct ssl_st *tls, const void *p, size_t n, unsigned *wants)
{
    int rc;

    if (n == 0) {
        return 0;
    }
    ERR_clear_error();
    errno = 0;
    rc = SSL_write(tls, p, n < INT32_MAX ? (int)n : INT32_MAX);
    if (rc > 0) {
        return rc;
    }
    rc = (int)result_of(tls, rc, wants);
    if (rc == 0) { /* the peer has said goodbye: nobody will read this */
        errno = EPIPE;
    }
    return -1;
}

bool tls_has_pending(const struct ssl_st *tls)
{
    return SSL_has_pending(tls) == 1;
}

void tls_say_goodbye(struct ssl_st *tls)
{
    ERR_clear_error();
    (void)SSL_shutdown(tls);
    ERR_clear_error();
}
