/* The engine's peers: one for each transport or tap. Under the lock. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "engine.h"

#include <stdlib.h>
#include <string.h>

static bool grow(struct engine *engine)
{
    uint32_t room = engine->peers_room ? 2 * engine->peers_room : 64;
    struct engine_peer **peers = realloc(engine->peers, room * sizeof(struct engine_peer *));
    if (peers == NULL)
        return false;
    memset(peers + engine->peers_room, 0, (room - engine->peers_room) * sizeof(struct engine_peer *));
    engine->peers = peers;
    engine->peers_room = room;
    return true;
}

struct engine_peer *engine_add_peer(struct engine *engine)
{
    uint32_t number = 0;
    while (number < engine->peers_room && engine->peers[number] != NULL)
        number++;
    if (number >= engine->peers_most || (number == engine->peers_room && !grow(engine)))
        return NULL;
    struct engine_peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    destination_init(&peer->to);
    peer->number = number;
    peer->generation = ++engine->generation;
    engine->peers[number] = peer;
    return peer;
}

void engine_remove_peer(struct engine *engine, struct engine_peer *peer)
{
    engine_attach(peer, NULL);
    if (engine->side.count > 0)
        outbox_flush(&engine->side); /* it may stand in there */
    engine->peers[peer->number] = NULL;
    free(peer);
}

void engine_attach(struct engine_peer *peer, struct rule_peer *rule_peer)
{
    if (peer->rule_peer != NULL)
        rule_peer_set_out(peer->rule_peer, NULL);
    peer->rule_peer = rule_peer;
    if (rule_peer != NULL)
        rule_peer_set_out(rule_peer, peer);
}
