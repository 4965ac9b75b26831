//! One document per source, told apart by the hash of its URI: a row of a B-tree holds 2,704 bytes, a URI of 2,048
//! characters has up to 8,192.

migration! {
    up: "
        -- Immutable because the database is in UTF-8, into which nothing needs to be converted.
        CREATE FUNCTION source_key(uri text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
            RETURN sha256(convert_to(uri, 'UTF8'));
        CREATE UNIQUE INDEX documents_source ON documents (collection_id, source_key(source_uri))
            WHERE source_uri IS NOT NULL;
        DROP INDEX documents_source_uri;
    ",
    down: "
        CREATE UNIQUE INDEX documents_source_uri ON documents (collection_id, source_uri) WHERE source_uri IS NOT NULL;
        DROP INDEX documents_source;
        DROP FUNCTION source_key(text);
    ",
}
