/*
 * hoard: while it is created it writes 32 MiB into files of its state_dir that have no name any more, and never returns.
 *
 * The hub must: end it for what it keeps, long before its time for being created is over.
 */
#include "hostile.h"

#include <fcntl.h>

#define FILES 4
#define MEGABYTES_EACH 8

static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self, wp_reply *reply) {
    static char block[1 << 20], file[1024];
    int32_t outcome = hostile_create(host, config, call, self, reply);
    if (outcome != WP_OK) return outcome;
    memset(block, 1, sizeof block);
    snprintf(file, sizeof file, "%.*s/nameless", (int)host->state_dir.len, host->state_dir.ptr);
    for (int i = 0; i < FILES; i++) {
        int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        unlink(file);
        for (int k = 0; fd >= 0 && k < MEGABYTES_EACH; k++)
            if (write(fd, block, sizeof block) < 0) break;
    }
    for (;;) pause();
    return WP_OK;
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call, (void)reply;
    return WP_OK;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("hoard", "Fills the disk while it is created."),
    .create = create, .deliver = deliver, .destroy = hostile_destroy,
};
