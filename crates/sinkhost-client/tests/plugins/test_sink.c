/* The plugin of the host's tests: does what the alert's title says. */
#include "watchpost_sink.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Compile with -DMAGIC=..., -DMAJOR=..., -DMIN_MINOR=..., -DFLUSHES, -DNO_DESTROY, -DNAME=... */
#ifndef MAGIC
#define MAGIC WP_MAGIC
#endif
#ifndef MAJOR
#define MAJOR WP_ABI_MAJOR
#endif
#ifndef MIN_MINOR
#define MIN_MINOR 0
#endif

static const wp_host *the_host;
static volatile uint64_t cancelled = UINT64_MAX; /* The call that `cancel` named: it may come before the call. */
static volatile int cancel_hangs;
static unsigned delivered_since_flush;
static volatile int flush_shall_fail, flush_shall_abort;

static int says(wp_str text, const char *word) {
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

static int contains(wp_str text, const char *word) {
    size_t len = strlen(word);
    for (size_t at = 0; at + len <= text.len; at++)
        if (memcmp(text.ptr + at, word, len) == 0) return 1;
    return 0;
}

static void sleep_ms(int ms) { poll(NULL, 0, ms); }

static void log_line(const char *format, unsigned long a, unsigned long b) {
    char line[200];
    snprintf(line, sizeof line, format, a, b);
    wp_log(the_host, WP_LOG_INFO, line);
}

static int32_t describe(wp_reply *reply) {
    reply->note(reply, wp_text(""), wp_text("{\"schema\":{\"type\":\"object\"},\"example\":{\"ok\":true}}"));
    return WP_OK;
}

static int32_t validate(wp_str config, wp_reply *reply) {
    if (!contains(config, "bad")) return WP_OK;
    reply->note(reply, wp_text("/servers/0"), wp_text("must not be bad"));
    reply->note(reply, wp_text(""), wp_text("see the manual"));
    return WP_BAD_CONFIG;
}

static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self, wp_reply *reply) {
    the_host = host;
    if (contains(config, "print and crash")) {
        puts("before the crash");
        abort();
    }
    if (contains(config, "hang")) for (;;) sleep_ms(1000);
    if (contains(config, "wait for cancel")) {
        while (!host->cancelled(host, call->call_id)) sleep_ms(1);
        return wp_fail(reply, WP_RETRY, "gave up creating");
    }
    if (contains(config, "refuse")) return wp_fail(reply, WP_RETRY, "the world is not ready");
    *self = &the_host;
    return WP_OK;
}

static int32_t deliver_frames(const wp_alert *alert) {
    unsigned long bytes = 0, sum = 0;
    for (size_t index = 0; index < alert->frame_count; index++) {
        const wp_frame *frame = wp_frame_at(alert, index);
        bytes += frame->len;
        for (size_t at = 0; at < frame->len; at++) sum += frame->data[at];
    }
    log_line("%lu bytes with the sum %lu", bytes, sum);
    log_line("%lu bytes of json, %lu frames", alert->json.len, alert->frame_count);
    return WP_OK;
}

static int32_t misbehave(wp_str how) {
    if (says(how, "abort")) abort();
    if (says(how, "segfault")) *(volatile int *)8 = 1;
    if (says(how, "exit")) exit(0);
    if (says(how, "hang")) for (;;) sleep_ms(1000);
    if (says(how, "close all")) {
        for (int fd = 0; fd < 1024; fd++) close(fd);
        for (;;) sleep_ms(1000);
    }
    if (says(how, "babble")) {
        for (int fd = 3; fd < 1024; fd++) (void)!write(fd, "\0garbage garbage", 16);
        for (;;) sleep_ms(1000);
    }
    if (says(how, "flood")) for (int line = 0; line < 200000; line++) puts("flood flood flood flood flood");
    if (says(how, "flood log")) for (int line = 0; line < 20000; line++) wp_log(the_host, WP_LOG_INFO, "flood");
    return WP_OK;
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self;
    delivered_since_flush++;
    if (says(alert->title, "frames")) return deliver_frames(alert);
    if (says(alert->title, "retry")) return wp_fail(reply, WP_RETRY, "the server is away");
    if (says(alert->title, "retry after")) {
        reply->retry_after_ms = 1500;
        return WP_RETRY;
    }
    if (says(alert->title, "permanent")) return wp_fail(reply, WP_PERMANENT, "never");
    if (says(alert->title, "fatal")) return WP_FATAL;
    if (says(alert->title, "unknown outcome")) return 77;
    if (says(alert->title, "fail flush")) flush_shall_fail = 1;
    if (says(alert->title, "abort flush")) flush_shall_abort = 1;
    if (says(alert->title, "slow")) sleep_ms(30);
    if (says(alert->title, "attempt")) log_line("attempt %lu%.0lu", call->attempt, 0);
    if (says(alert->title, "print")) {
        puts("to stdout");
        fputs("to stderr\n", stderr);
    }
    if (says(alert->title, "stdin")) log_line("stdin gave %lu bytes, socket %lu", (unsigned long)read(0, reply, 1), 0);
    if (says(alert->title, "wait for cancel")) {
        while (cancelled != call->call_id) sleep_ms(1);
        return wp_fail(reply, WP_RETRY, "gave up");
    }
    if (says(alert->title, "abort with unread packets")) {
        cancel_hangs = 1;
        wp_log(the_host, WP_LOG_INFO, "waiting");
        while (cancelled != call->call_id) sleep_ms(1);
        sleep_ms(200);
        abort();
    }
    if (says(alert->title, "poll for cancel")) {
        while (!the_host->cancelled(the_host, call->call_id)) sleep_ms(1);
        return WP_OK;
    }
    return misbehave(alert->title);
}

static void cancel(void *self, uint64_t call_id) {
    (void)self;
    cancelled = call_id;
    while (cancel_hangs) sleep_ms(1000);
}

#ifdef FLUSHES
static int32_t flush(void *self, const wp_call *call, wp_reply *reply) {
    (void)self;
    (void)call;
    log_line("flushed %lu%.0lu", delivered_since_flush, 0);
    delivered_since_flush = 0;
    if (flush_shall_abort) abort();
    if (flush_shall_fail) return wp_fail(reply, WP_RETRY, "the disk is full");
    return WP_OK;
}
#endif

static int32_t probe(void *self, const wp_call *call, wp_reply *reply) {
    (void)self;
    (void)call;
    return wp_fail(reply, WP_OK, "all is well");
}

static void destroy(void *self) {
    (void)self;
    puts("destroyed");
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    .magic = MAGIC,
    .struct_size = sizeof(wp_plugin),
    .abi_major = MAJOR,
    .abi_minor = WP_ABI_MINOR,
    .min_host_minor = MIN_MINOR,
    .id = "test",
    .name = "Test",
    .version = "1.2.3",
    .describe = describe,
    .validate = validate,
    .create = create,
    .deliver = deliver,
#ifdef FLUSHES
    .flush = flush,
#endif
    .probe = probe,
    .cancel = cancel,
#ifndef NO_DESTROY
    .destroy = destroy,
#endif
};
