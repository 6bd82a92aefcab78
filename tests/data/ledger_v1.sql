-- A ledger as its first schema version wrote it.
BEGIN TRANSACTION;
CREATE TABLE requests (
            request_id TEXT NOT NULL,
            at REAL NOT NULL,
            client TEXT,
            endpoint TEXT NOT NULL,
            asked_model TEXT NOT NULL,
            model TEXT,
            backend TEXT,
            backend_type TEXT,
            zone TEXT,
            reason TEXT,
            attempts INTEGER NOT NULL,
            is_streaming INTEGER NOT NULL,
            status INTEGER NOT NULL,
            failed INTEGER NOT NULL,
            client_left INTEGER NOT NULL,
            is_partial INTEGER NOT NULL,
            prompt_tokens INTEGER,
            completion_tokens INTEGER,
            cached_tokens INTEGER NOT NULL,
            cache_write_tokens INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL,
            prompt_audio_tokens INTEGER NOT NULL,
            completion_audio_tokens INTEGER NOT NULL,
            counted TEXT,
            estimated_nano_usd INTEGER,
            cost_nano_usd INTEGER,
            price_source TEXT,
            is_unpriced INTEGER NOT NULL,
            total_ms REAL NOT NULL,
            first_byte_ms REAL,
            overhead_ms REAL
        );
INSERT INTO "requests" VALUES('req-1',1793000000.0,'laptop','/v1/chat/completions','gpt-4o','gpt-4o-2024-11-20','openai','openai','open','capability-match',1,0,200,0,0,0,1000,100,0,0,0,0,0,'reported',3000000,3500000,'config',0,512.5,500.25,1.5);
INSERT INTO "requests" VALUES('req-2',1793000001.0,NULL,'/v1/chat/completions','llama3:70b','llama3:70b','local-llama','ollama','restricted','capability-match',1,0,200,0,0,0,1000,100,0,0,0,0,0,'reported',NULL,NULL,NULL,0,512.5,500.25,1.5);
INSERT INTO "requests" VALUES('req-3',1793000002.0,'laptop','/v1/chat/completions','gpt-4o',NULL,NULL,NULL,NULL,NULL,0,0,503,1,0,0,NULL,NULL,0,0,0,0,0,NULL,NULL,NULL,NULL,0,512.5,NULL,NULL);
CREATE INDEX requests_at ON requests (at);
COMMIT;
PRAGMA user_version = 1;
