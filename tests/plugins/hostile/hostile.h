/*
 * hostile.h - what the plugins of this directory share. One process holds one instance, so statics do.
 *
 * Each plugin does one thing wrong, or is the witness that others were not harmed. They have brakes: none can take
 * down a machine on which nothing holds them.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#define _GNU_SOURCE
#include "watchpost_sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The beginning of the table. The id is the name of the source file. */
#define HOSTILE_HEAD(id_, summary_)                                                                        \
    .magic = WP_MAGIC, .struct_size = sizeof(wp_plugin), .abi_major = WP_ABI_MAJOR,                        \
    .abi_minor = WP_ABI_MINOR, .id = (id_), .name = (id_), .version = "1.0.0", .summary = (summary_)

static const wp_host *hostile_host;
static char hostile_config[8192]; /* The configuration, terminated. */

/* Keeps the host and the configuration. A `create` of its own calls this first. */
static inline int32_t hostile_create(const wp_host *host, wp_str config, const wp_call *call, void **self,
                                     wp_reply *reply) {
    (void)call;
    if (config.len >= sizeof hostile_config)
        return wp_fail(reply, WP_BAD_CONFIG, "the configuration is longer than 8 KB");
    memcpy(hostile_config, config.ptr, config.len);
    hostile_config[config.len] = '\0';
    hostile_host = host;
    *self = hostile_config;
    return WP_OK;
}

static inline void hostile_destroy(void *self) { (void)self; }

/* Copies the string that stands under `key` in the configuration, `{"key": "text"}`. 0 if there is none, it does
 * not fit, or it has an escape other than \" \\ and \/. */
static inline int hostile_text(const char *key, char *text, size_t size) {
    char quoted[64];
    const char *at = hostile_config;
    size_t length = 0;
    if (snprintf(quoted, sizeof quoted, "\"%s\"", key) >= (int)sizeof quoted) return 0;
    at = strstr(at, quoted);
    if (at == NULL) return 0;
    at += strlen(quoted);
    at += strspn(at, " \t\r\n");
    if (*at++ != ':') return 0;
    at += strspn(at, " \t\r\n");
    if (*at++ != '"') return 0;
    for (; *at != '"'; at++) {
        if (*at == '\\' && strchr("\"\\/", *++at) == NULL) return 0;
        if (*at == '\0' || length + 1 >= size) return 0;
        text[length++] = *at;
    }
    text[length] = '\0';
    return 1;
}

/* Whether `text` contains `part`. */
static inline int hostile_contains(wp_str text, const char *part) {
    return text.len != 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* Milliseconds since 1970 UTC. */
static inline long long hostile_unix_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Fails with what errno says. */
static inline int32_t hostile_fail(wp_reply *reply, int32_t outcome, const char *what) {
    char why[4352];
    snprintf(why, sizeof why, "%s: %s", what, strerror(errno));
    return wp_fail(reply, outcome, why);
}

#endif
