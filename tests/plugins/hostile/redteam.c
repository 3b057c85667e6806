/*
 * redteam: a plugin that means it. At its first alert it tries what a sink must not be able to do, one deed after the
 * other, and writes down what came of each: "deed answer" a line in the file `report` of its state_dir, "done" or the name
 * of the error. Then it behaves in the way that the configuration names. The deeds are in the headers beside this file.
 *
 * The hub must: hold every deed, bring the alerts to the other sinks, and stop when it is asked to.
 *
 * {"victim": "/a", "config": "/b", "data": "/c", "bystander": "2", "port": "3", "hub_port": "4", "local": "name",
 *  "way": "", "spared": " deed another "}
 */
#include "redteam_files.h"
#include "redteam_network.h"
#include "redteam_processes.h"
#include "redteam_system.h"
#include "redteam_ways.h"

static char way_name[64];
static char spared[2048]; /* Deeds that are not to be tried, between blanks. */

static long number_of(const char *key) {
    char text[32];
    return hostile_text(key, text, sizeof text) ? atol(text) : 0;
}

static int32_t create(const wp_host *host, wp_str config, const wp_call *call, void **self, wp_reply *reply) {
    int32_t outcome = hostile_create(host, config, call, self, reply);
    if (outcome != WP_OK) return outcome;
    snprintf(state_dir, sizeof state_dir, "%.*s", (int)host->state_dir.len, host->state_dir.ptr);
    bystander = number_of("bystander"), tcp_port = number_of("port");
    hub_port = number_of("hub_port");
    hub = getppid();
    hostile_text("spared", spared, sizeof spared);
    hostile_text("way", way_name, sizeof way_name);
    if (!hostile_text("victim", victim, sizeof victim) || !hostile_text("config", config_file, sizeof config_file) ||
        !hostile_text("data", data_dir, sizeof data_dir) || !hostile_text("local", local_name, sizeof local_name))
        return wp_fail(reply, WP_BAD_CONFIG, "whom to attack is not said");
    return WP_OK;
}

static void try_all(FILE *report, const struct deed *deeds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char word[64];
        snprintf(word, sizeof word, " %s ", deeds[i].name);
        if (strstr(spared, word) != NULL) continue;
        int answer = deeds[i].act();
        const char *name = answer == 0 ? "done" : answer == ABSENT ? "absent" : strerrorname_np(answer);
        fprintf(report, "%s %s\n", deeds[i].name, name == NULL ? "?" : name);
    }
}

#define TRY(deeds) try_all(report, deeds, sizeof deeds / sizeof *deeds)

/* Once in the life of the state_dir. */
static int32_t attack(wp_reply *reply) {
    if (access(in_state("report"), F_OK) == 0) return WP_OK;
    close(own_fd());
    FILE *report = fopen(in_state("report.new"), "we");
    if (report == NULL) return hostile_fail(reply, WP_RETRY, "report");
    TRY(file_deeds), TRY(process_deeds), TRY(system_deeds), TRY(network_deeds);
    fclose(report);
    return rename(in_state("report.new"), in_state("report")) == 0 ? WP_OK : hostile_fail(reply, WP_RETRY, "report");
}

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call;
    int32_t outcome = attack(reply);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].name, way_name) == 0) ways[i].go();
    if (strcmp(way_name, "log_forgeries") == 0) return wp_fail(reply, WP_PERMANENT, ugly);
    return outcome;
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("redteam", "Tries all that a sink must not be able to do."),
    .create = create, .deliver = deliver, .destroy = hostile_destroy,
};
