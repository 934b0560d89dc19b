"""Every bound on received data, each with its reason. Nothing is parsed before it is measured."""

TOKEN_BYTES = 256 * 1024
"""A presented credential. The largest published example has 1.3 kB; a portrait needs some tens of kB."""

CBOR_DEPTH = 24
"""Nesting that the decoder follows at all: claims may have 16 levels, envelopes stand around them."""

CLAIM_DEPTH = 16
"""Levels of array, map and tag in claims (SD-CWT-08 §5: deeper MAY be rejected)."""

CLAIM_KEY_BYTES = 255
"""Length of a text claim key in UTF-8 (SD-CWT-08 §5)."""

DISCLOSURES = 1024
"""Disclosures in one token; ten times the largest credential seen in the field."""

DELEGATION_DEPTH = 4
"""Hands that one delegated credential went through. Each costs a verification and lengthens the token."""

DELEGATION_RIGHTS = 16
"""Claims that one delegation narrows."""

SIGNATURES = 4
"""Signatures in the general JSON serialisation: each may cost a verification for every trusted key."""

TYPE_EXTENSIONS = 8
"""Types of credentials that may extend one another: each is a document to fetch."""

DECOYS = 256
"""Decoys that one map or array may ask for."""

KEY_BYTES = 32 * 1024
"""A key file in PEM or DER; an ML-DSA-87 key with its expanded form has 7 kB in PEM."""

JWK_MEMBER_BYTES = 4096
"""One decoded part of a JWK; the public key of ML-DSA-87 has 2592 bytes."""

JSON_BYTES = 256 * 1024
"""A JSON document from a peer."""

JSON_DEPTH = 24
"""Nesting of such a document; Python's own parser recurses."""

JWT_BYTES = 256 * 1024
"""A compact JWS or JWE as it arrives."""

JOSE_HEADER_BYTES = 16 * 1024
"""A protected JOSE header, decoded: room for an x5c chain of four."""

INFLATED_BYTES = 256 * 1024
"""What a compressed JWE may grow to (deflate reaches 1000:1)."""

JSON_INTEGER_DIGITS = 20
"""Digits of a JSON integer: all that 64 bits and CBOR's integer types can hold (2^64 has 20). Python reads a
longer one in quadratic time, or refuses by a limit that belongs to the whole process."""

HTTP_BODY_BYTES = 512 * 1024
"""The body of a request to a service: a credential as JSON or base64url, and its envelope."""

HTTP_HEADER_BYTES = 16 * 1024
"""All header fields of a request together: an access token and a DPoP proof have some 2 kB."""

HTTP_TARGET_BYTES = 4 * 1024
"""Path and query of a request: no endpoint carries more than an identifier there."""

HTTP_BODY_SECONDS = 10
"""Time for a request's body to arrive; a slower sender only holds a connection open."""

FETCH_BYTES = 1024 * 1024
"""What a fetched document may have unless the caller says less: issuer metadata with many displays."""

CLAIM_PATH_CHARS = 4096
"""A claim path as a person writes it: sixteen levels of the longest keys."""

STRANGERS_ROWS = 1_000_000
"""Rows that those who have shown nothing may make a service keep at once: some 150 MB, and more than a
service is asked for in the life of a row."""


# Messages of OAuth and OpenID4VCI.

DPOP_MAX_AGE = 300
"""Seconds that a DPoP proof stays good: its replay memory is this long, and a slow phone clock fits in."""

DPOP_LEEWAY = 60
"""Seconds that a DPoP proof may come from the future (RFC 9449 §11.1; FAPI 2.0 wants at least 10)."""

PROOF_MAX_AGE = 300
"""Seconds that a key proof stays good; its nonce bounds it as well."""

PROOF_LEEWAY = 60
"""Seconds that a key proof may come from the future (OpenID4VCI 1.0 §F.4)."""

NONCE_LIFETIME = 300
"""Seconds that a server nonce is taken: time enough for a person to unlock a key."""

CLOCK_SKEW = 60
"""Seconds by which the clocks of two servers that share keys may differ."""

NONCE_CHARS = 512
"""Longest nonce from any server; ours have 75 characters."""

JTI_CHARS = 256
"""Longest `jti` of a DPoP proof: a server remembers each for a while (RFC 9449 §11.1)."""

FORM_BYTES = 32 * 1024
"""A form body: codes are short, authorization details have some hundred bytes for each credential."""

FORM_FIELDS = 32
"""Fields in a form; the longest request known has twelve."""

CODE_CHARS = 512
"""Longest pre-authorized code, transaction code, client id or credential identifier."""

STATE_CHARS = 2048
"""Longest `state` of an authorization request, which is kept and echoed; conformance tests send a kB."""

LOGIN_CHARS = 1024
"""Longest account name, password or login link that a person enters."""

LOGIN_ROWS = 65_536
"""Rows by which failed logins are counted, for all accounts together, also those that do not exist."""

TOKEN_CHARS = 8 * 1024
"""Longest access token; some servers issue JWTs. HTTP servers stop near 8 kB for a header."""

URL_CHARS = 2048
"""Longest URL from a peer."""

OFFER_BYTES = 16 * 1024
"""A credential offer, by value or fetched."""

METADATA_BYTES = 256 * 1024
"""A metadata document; one with logos as data URLs in five languages has some ten kB."""

PROOF_BYTES = 16 * 1024
"""One key proof, or one DPoP proof."""

BATCH_SIZE = 100
"""Most proofs in one credential request, whatever an issuer's own settings say: each costs a verification."""

AUTHORIZATION_DETAILS = 32
"""Most authorization details in one request."""

CREDENTIAL_IDENTIFIERS = 256
"""Most credential identifiers in one token response."""

NOTIFICATION_BYTES = 16 * 1024
"""A notification: an id, an event, and a sentence for developers."""

LIST_ITEMS = 256
"""Most entries of any other list in a metadata document."""

DESCRIPTION_CHARS = 200
"""Longest `error_description` that is sent or shown."""


# Certificates.

CERTIFICATE_BYTES = 8 * 1024
"""One X.509 certificate; those of issuers have 0.5 to 2 kB."""

X5C_CERTIFICATES = 5
"""Certificates in an `x5c` header: a leaf and up to four CAs below the anchor."""

TRUST_CERTIFICATES = 64
"""Certificates in one PEM file, or trust anchors for one issuer: each may cost a signature check."""


# The wallet server.

RATE_KEYS = 50_000
"""Callers whose rate a process remembers; the one who was away longest is forgotten, and begins anew."""

LONG_POLLS = 10_000
"""Requests of wallets that a process lets wait at once; beyond, they are answered as things stand."""

LONG_POLLS_OF_PARTY = 4
"""Of these, one party's at one mailbox: what a wallet broke off waits on, and nobody takes all places."""

WAIT_SECONDS = 30
"""Longest time that a wallet may wait for an answer: proxies in between cut off what takes a minute."""

IDEMPOTENCY_KEY_CHARS = 128
"""Longest `Idempotency-Key`; 16 random bytes have 22 characters in base64url."""

ISSUER_ERROR_BYTES = 16 * 1024
"""An issuer's error; OAuth's have two short members."""

STORED_ERRORS = 100_000
"""Stored deliveries that hold no sealed answer: anybody can cause them, so the oldest make room."""

WAKEUPS = 16
"""Wake-ups of one session; a wallet has one session for each issuer."""

WAKEUP_BYTES = 8 * 1024
"""The request for a wake-up: an issuer, a number, a ticket, a handle."""

WAKEUP_SECONDS = 30 * 86400
"""Latest time for a wake-up: an issuer that takes a month asks its holder again."""

ISSUER_LIST_BYTES = 1024 * 1024
"""A file that lists issuers: some ten thousand."""


# The wallet.

PASSPHRASE_BYTES = 1024
"""Longest passphrase, in UTF-8: a sentence has a hundred."""

WALLET_BACKUP_BYTES = 64 * 1024 * 1024
"""A backup of a wallet: some ten thousand credentials of a few kB."""

WALLET_PERSONAS = 64
"""Personas of one wallet besides the one without a name: people have two or three, each with a database."""


# The issuer's management, and the operator's servers that it asks and tells.

SIGNATURE_AGE = 300
"""Seconds by which the times of a signed webhook's sender and receiver may differ."""

SOURCE_BYTES = 64 * 1024 * 1024
"""A CSV file of claims: some hundred thousand people; more belong in a database."""

MANAGEMENT_TEXT_CHARS = 256
"""Longest subject, reference or cursor in a management request."""

OFFER_SECONDS = 30 * 86400
"""Longest life of an offer: whoever finds it later must not be able to use it."""


# Shares of what was issued.

SHARE_REQUEST_BYTES = 384 * 1024
"""A request for a share: the largest presentation in base64url, and some hundred bytes beside it."""

SHARE_PIN_BYTES = 1024
"""A request that pins a share to a key: one thumbprint."""


# Revocation of health cards.

CRL_BYTES = 32 * 1024 * 1024
"""A revocation list as JSON: two million short rids. One that outgrows it wants a new key."""

CRL_ENTRIES = 2_000_000
"""Entries of such a list, counted before it is parsed: in memory each takes some ninety bytes."""

LOG_RECORDS = 2_000_000
"""Records of a revocation log: 32 MB, as much as a list. A log that would outgrow it is no longer offered."""

HEAD_BYTES = 16 * 1024
"""A signed head of a revocation list: some 600 bytes, 7 kB with the longest signature."""


# A verifier's copy of lists.

STORE_RECORD_BYTES = 1024 * 1024
"""A record of the store: an issuer's JWKS, escaped in JSON, and some hundred bytes beside it."""

STORE_REMEMBERED = 4096
"""Issuers and lists that an open store remembers at once: cards may name any, and each takes some kB."""

DELTA_BYTES = 64 * 1024
"""What the deltas of one update may have together, unless the list itself is longer: then that much."""

DELTA_COUNTERS = 65_536
"""Counters that deltas are followed over: 300 files. An issuer may announce any counter, and the way to it is
counted in steps."""

RANGE_BYTES = 1024 * 1024
"""How much of a log is asked for at once, and has not to be fetched again after an interruption."""

SYNC_BYTES = 256 * 1024 * 1024
"""What one issuer's lists may have together in one synchronisation, so that none fills the disk."""

SYNC_SECONDS = 1800
"""How long one issuer's lists may take in one synchronisation: all of those bytes at 150 kB a second. A host
that answers slowly, a document for each of many keys, must not keep the other issuers waiting."""

VALIDATOR_CHARS = 256
"""Longest `ETag` or `Last-Modified` that is kept and sent back; a longer one can only serve to recognise."""


# Health cards as QR codes, files and links.

CARD_QR_CHARS = 8 * 1024
"""The text of one QR code: the largest there is, of version 40, holds 7089 digits."""

CARD_CHUNKS = 64
"""QR codes that hold one card together; the largest example known needs three."""

CARD_FILE_BYTES = 1024 * 1024
"""A file or link with cards, and a bundle that a card is made of; a card for a QR code has one kB."""

CARD_FILE_CARDS = 256
"""Cards in one file or link; each may cost a verification."""

CARD_IMAGE_BYTES = 8 * 1024 * 1024
"""A picture of a QR code, as a file: a photograph of a phone has some four."""

CARD_IMAGE_PIXELS = 16 * 1024 * 1024
"""Pixels of such a picture, read from its head before any is decoded: 16 MB in grey, 64 in colour."""

CARD_SCAN_PIXELS = 2 * 1024 * 1024
"""Pixels in which codes are looked for; a larger picture is made smaller first. The search takes a second for
a page full of finder patterns, and four times as long for twice the pixels."""

CARD_IMAGE_SCANS = 64
"""Scans of a JPEG: each passes over the whole picture, costs 56 bytes and up to a tenth of a second. Programs
write ten; more marks than that stand in a file by chance, in what cameras put beside the picture."""

CARD_SVG_RUNS = 32 * 1024
"""Runs of dark modules in a code drawn as SVG: the largest code has 177 rows of 89 at most."""

FHIR_FINDINGS = 200
"""Most things that are said of one bundle: each costs memory, and nobody reads more."""


# Health cards themselves.

CARD_PAYLOAD_BYTES = 1024 * 1024
"""What a card's payload may inflate to: one for a QR code has 3 kB, one with a long history some hundred."""


# Token Status Lists, and Bitstring Status Lists.

STATUS_LIST_BYTES = 16 * 1024 * 1024
"""What a status list inflates to: sixteen million statuses of eight bits; the largest that is planned
anywhere, of 100 million bits, has 12.5 MB."""

STATUS_TOKEN_BYTES = 8 * 1024 * 1024
"""A status list as it arrives, signed: thirty million one-bit statuses of which a tenth is revoked."""

STATUS_LISTS = 4096
"""Lists that one aggregation names, or that a verifier keeps at once: each may have megabytes."""

STATUS_CACHE_BYTES = 256 * 1024 * 1024
"""All status lists that a verifier keeps in memory, inflated; the one that was not asked for longest goes."""

STATUS_AGGREGATION_BYTES = 1024 * 1024
"""A document that names status lists, by URLs of some hundred characters."""


# Ribbons.

RIBBON_BYTES = 16 * 1024 * 1024
"""A ribbon: a list of two million entries with as many times as there are has some 12 MB."""

RIBBON_EXCEPTIONS = 4096
"""What a function of a ribbon lists as exceptions: of two million elements some three hundred."""


# Packs.

PACK_HEAD_BYTES = 16 * 1024
"""The signed head of a pack: 600 bytes, with an ML-DSA-87 signature 7 kB."""

PACK_REMEMBERED = 4096
"""Keys and lists that an open pack remembers at once: cards may name any, and each takes some kB."""

PACK_DELTA_BYTES = 64 * 1024 * 1024
"""A delta between two versions of a pack, packed and inflated: four million entries. Beyond, the whole pack
is the shorter way."""

PACK_DELTAS = 1024
"""Deltas that a mirror names: one publishes some two hundred."""

SNAPSHOT_BYTES = 32 * 1024 * 1024
"""A directory's snapshot of all issuers: that of the VCI directory has 0.7 MB; Python makes of it ten times
as much."""

SNAPSHOT_ISSUERS = 65_536
"""Issuers in a snapshot or directory: a hundred times those of the VCI directory."""

CARD_DEPTH = 64
"""Nesting of that payload: FHIR's own has some twelve levels, and each extension within another adds two."""

PACK_BYTES = 1024 * 1024 * 1024
"""A pack that is fetched: 240 million entries."""

PACK_PIECE_BYTES = 8 * 1024 * 1024
"""As much of a pack is asked for at once, so that what is interrupted goes on from there."""


# A relay's mailboxes.

REPEATED_REQUESTS = 8
"""Requests of each party by which a mailbox knows that one comes again. With the last one only, a client that
sent A and B and then A again would have A done twice; nobody has eight on the way at once."""

PAYLOAD_TYPE_CHARS = 64
"""`type` of a payload: the longest known has 18 characters."""

MAILBOX_SECONDS = 60
"""Shortest life of a mailbox, the time to carry a link to somebody; one that shall end sooner is deleted."""

SWEPT_ROWS = 100
"""Expired mailboxes that one transaction deletes: others wait for it, some ten milliseconds on SQLite."""


# The relay's display text.

DISPLAY_TITLE_CHARS = 128
"""Title of a mailbox, which previews show in one or two lines."""

DISPLAY_DESCRIPTION_CHARS = 512
"""Description of a mailbox: the longest that previews show has some three hundred characters."""


# Transfers: what a payload at a relay carries.

TRANSFER_DATA_CHARS = 32 * 1024
"""`data` of a payload in base64: as much as relays take."""

TRANSFER_CONTENT_BYTES = 16 * 1024
"""Content of a message that is written here, padding included: the largest bucket that, sealed and in base64,
is a payload that relays take. An offer with what stands round it has some 800 bytes."""

TRANSFER_LINK_CHARS = 4096
"""A link with its fragment, or a receiving card or sealed offer as text: more than a QR code holds."""

TRANSFER_NAME_CHARS = 64
"""The name on a receiving card, which a person reads in a list."""

MAILBOX_ANSWER_BYTES = 128 * 1024
"""What a relay may answer a wallet: the largest payload, and display text with every character escaped."""

PREVIEW_BYTES = 64 * 1024
"""The page that a relay shows of a mailbox: two texts, an address and the style of the page."""

RETRY_SECONDS = 30
"""Longest pause that a relay may ask a wallet to make before it tries again."""


# Shares at the issuer.

SHARES_REMEMBERED = 128
"""Shares of one credential that are remembered, with those that ended within a day: a sender that makes and
cancels them without end fills nothing."""

SHARES_LAPSED = 256
"""Shares whose time has come that one transaction deals with: each may revoke several credentials."""


# MLS.

MLS_MESSAGE_BYTES = 16 * 1024 * 1024
"""An MLS message or ratchet tree: that of a thousand members with SD-JWT credentials has 2 MB."""

MLS_KEY_PACKAGE_BYTES = 320 * 1024
"""A KeyPackage: a credential of the largest size, its keys and extensions."""

MLS_CREDENTIAL_BYTES = 256 * 1024
"""The body of a credential: as much as a token may have. A group keeps one for each member."""

MLS_CREDENTIALS = 8
"""Credentials that one client shows at once: each costs a verification of its own and one of its token."""

MLS_CAPABILITIES = 512
"""Numbers in one list of a client's capabilities: everything registered, and GREASE."""

MLS_EXTENSIONS = 64
"""Extensions of one object; five are registered by RFC 9420, and drafts name a dozen."""

MLS_EXTERNAL_SENDERS = 64
"""Those who may send proposals from outside a group: each has a credential to verify."""

MLS_MEMBERS = 65_536
"""Leaves of a tree, blank ones included: a blank node has one byte, and the tree would be mostly those."""
