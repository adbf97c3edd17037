-- What projects want of their maintenance, and when they have it next.
--
-- What the first migration fixes holds here too. `policy` says what is otherwise than the defaults; `ending` are snapshots that
-- nobody may begin to hold, as they are about to end.

CREATE TABLE maintenance (
    project   TEXT COLLATE "C" PRIMARY KEY REFERENCES projects (id_key),
    policy    TEXT COLLATE "C" NOT NULL,
    is_paused BIGINT NOT NULL,
    next_at   BIGINT,
    ending    TEXT COLLATE "C" NOT NULL
);
