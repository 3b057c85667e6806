/*
 * A sink that writes down when it was called: one line an alert in the file `stopwatch.log` of its state directory,
 * "<frame number> <nanoseconds since 1970>". It does nothing else and has no flush, so a delivery is done at once.
 *
 * The file is written when the instance ends, so that writing it costs the deliveries nothing.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "watchpost_sink.h"

/* More alerts than any run sends; those beyond it are not written down. */
#define MAX_RECORDS 1000000

typedef struct {
    unsigned long long frame_number;
    unsigned long long unix_ns;
} record;

static record *records;
static size_t count;
static char *file;

static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self, wp_reply *reply) {
    static const char name[] = "/stopwatch.log";
    (void)config;
    (void)call;
    *self = NULL;
    records = calloc(MAX_RECORDS, sizeof *records);
    file = malloc(host->state_dir.len + sizeof name);
    if (records == NULL || file == NULL) return wp_fail(reply, WP_RETRY, "out of memory");
    memcpy(file, host->state_dir.ptr, host->state_dir.len);
    memcpy(file + host->state_dir.len, name, sizeof name);
    return WP_OK;
}

/* The number behind the first occurrence of the key, 0 when there is none. */
static unsigned long long number_after(wp_str text, const char *key) {
    size_t length = strlen(key);
    for (size_t at = 0; at + length <= text.len; at++) {
        if (memcmp(text.ptr + at, key, length) != 0) continue;
        unsigned long long number = 0;
        for (at += length; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
            number = number * 10 + (unsigned long long)(text.ptr[at] - '0');
        return number;
    }
    return 0;
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    struct timespec now;
    (void)self;
    (void)call;
    (void)reply;
    clock_gettime(CLOCK_REALTIME, &now);
    if (count < MAX_RECORDS) {
        records[count].frame_number = number_after(alert->json, "\"frame_number\":");
        records[count].unix_ns = (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec;
        count++;
    }
    return WP_OK;
}

static void destroy(void *self) {
    FILE *out = fopen(file, "w");
    (void)self;
    if (out == NULL) return;
    for (size_t at = 0; at < count; at++)
        fprintf(out, "%llu %llu\n", records[at].frame_number, records[at].unix_ns);
    fclose(out);
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    .magic = WP_MAGIC,
    .struct_size = sizeof(wp_plugin),
    .abi_major = WP_ABI_MAJOR,
    .abi_minor = WP_ABI_MINOR,
    .id = "stopwatch",
    .name = "Stopwatch",
    .version = "1.0.0",
    .summary = "Writes down when it was called.",
    .create = create,
    .deliver = deliver,
    .destroy = destroy,
};
