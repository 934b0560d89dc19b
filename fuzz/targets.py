"""The table of all targets; a new parser gets a line in one of the modules named here."""

from fuzz import (
    attestations,
    card_carriers,
    card_status,
    delegations,
    encodings,
    envelopes,
    file_requests,
    health_card,
    issuance,
    keys,
    mailbox_answers,
    mailboxes,
    messages,
    mls,
    packs,
    ribbons,
    sd_cwt,
    sd_jwt,
    shares,
    status_lists,
    status_sync,
    transfer,
)
from fuzz.judgement import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (
        encodings,
        keys,
        envelopes,
        sd_cwt,
        sd_jwt,
        messages,
        issuance,
        shares,
        attestations,
        card_carriers,
        card_status,
        delegations,
        status_lists,
        status_sync,
        file_requests,
        health_card,
        ribbons,
        packs,
        transfer,
        mailboxes,
        mailbox_answers,
        mls,
    )
    for target in module.TARGETS
}
