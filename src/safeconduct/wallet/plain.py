"""What a wallet kept before it encrypted: moved into encrypted records when it is opened, and erased."""

from sqlalchemy import Connection, delete, select

from safeconduct.protocols.openid4vci.configuration import SD_CWT
from safeconduct.wallet import store
from safeconduct.wallet.records import KnownIssuer, StoredCredential, StoredInstance
from safeconduct.wallet.tables import credentials, issuers
from safeconduct.wallet.vault import Vault


def encrypt_plain(connection: Connection, vault: Vault) -> int:
    """Move plain rows into encrypted records, and return how many there were."""
    met = connection.execute(select(issuers)).mappings().all()
    for row in met:
        known = KnownIssuer(
            identifier=row["identifier"],
            seen=row["seen_at"],
            encryption_required=row["encryption_required"],
        )
        store.remember_issuer(connection, vault, known)
    held = connection.execute(select(credentials)).mappings().all()
    for row in held:
        stored = StoredCredential(
            issuer=row["issuer"],
            configuration=row["configuration"],
            vct=row["vct"],
            format=SD_CWT,
            received=row["received_at"],
            expires=row["expires_at"],
        )
        instance = StoredInstance(token=row["token"], holder_key=row["holder_key"])
        store.keep_credential(connection, vault, row["id"], stored, [instance])
    connection.execute(delete(issuers))
    connection.execute(delete(credentials))
    return len(met) + len(held)
