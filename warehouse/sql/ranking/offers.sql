-- One row per way to call a model: OpenRouter's listings, the hosts behind each, and the models that other upstreams
-- list, priced by the lists or by what they report. A null price stays null: it is unknown, not zero. Local servers cost
-- nothing.
CREATE OR REPLACE TABLE ranking.offers AS
WITH
host_policy AS (
    -- A listing may train on prompts only when every host that serves it may: the caller can ask for one that does not.
    SELECT
        openrouter_id,
        CASE WHEN count(may_train_on_prompts) > 0 THEN bool_and(coalesce(may_train_on_prompts, false))
        END AS may_train_on_prompts
    FROM core.openrouter_endpoints
    GROUP BY openrouter_id
),
endpoint_speed AS (
    SELECT
        openrouter_id,
        median(latency_p50_ms) AS latency_ms,
        median(throughput_p50_tokens_per_s) AS throughput_tokens_per_s,
        -- The marketplace goes on to the next host by itself, so a listing is about as reliable as its best one.
        coalesce(max(uptime_percent_last_1d), max(uptime_percent_last_30m)) AS uptime_percent,
        max(observed_at) AS endpoint_observed_at
    FROM core.openrouter_endpoints
    GROUP BY openrouter_id
),
openrouter AS (
    SELECT
        'openrouter:' || listing.openrouter_id AS offer_id,
        record.model_id,
        'openrouter' AS upstream,
        listing.openrouter_id AS upstream_model,
        listing.variant,
        record.quantization,
        CASE WHEN listing.kind = 'chat' AND listing.expires_on < CAST($now AS DATE) THEN 'expired' ELSE listing.kind
        END AS kind,
        coalesce(listing.price_in_usd_per_mtok = 0 AND listing.price_out_usd_per_mtok = 0, false) AS is_free,
        false AS is_local,
        -- A 'contributor' tier is cheap because prompts are contributed.
        CASE WHEN listing.openrouter_id LIKE '%-contributor' THEN true ELSE host_policy.may_train_on_prompts
        END AS may_train_on_prompts,
        listing.price_in_usd_per_mtok,
        listing.price_out_usd_per_mtok,
        listing.price_cache_read_usd_per_mtok,
        listing.price_cache_write_usd_per_mtok,
        listing.price_reasoning_usd_per_mtok,
        listing.price_request_usd,
        listing.price_image_usd,
        listing.price_tiers_json,
        'openrouter:' || listing.openrouter_id AS price_source,
        listing.observed_at AS price_observed_at,
        least(listing.context_tokens, listing.endpoint_context_tokens) AS context_tokens,
        listing.max_output_tokens,
        coalesce(listing.input_modalities, []) AS input_modalities,
        coalesce(listing.supported_parameters, []) AS supported_parameters,
        listing.reasoning_is_mandatory,
        coalesce(listing.supported_efforts, []) AS supported_efforts,
        listing.default_effort,
        listing.is_moderated,
        endpoint_speed.latency_ms,
        endpoint_speed.throughput_tokens_per_s,
        endpoint_speed.uptime_percent,
        date_diff('second', endpoint_speed.endpoint_observed_at, listing.observed_at) / 86400.0 AS endpoint_age_days,
        listing.expires_on,
        'openrouter' AS source,
        listing.openrouter_id AS record_id,
        listing.observed_at
    FROM core.openrouter_listings AS listing
    JOIN entity.model_records AS record
        ON record.source = 'openrouter' AND record.record_id = listing.openrouter_id
    LEFT JOIN host_policy USING (openrouter_id)
    LEFT JOIN endpoint_speed USING (openrouter_id)
),
hosts AS (
    -- One host of a listing, to be asked for by its tag. Its price is what it says: a discount is already inside it.
    SELECT
        listed.offer_id || '@' || host.host_tag AS offer_id,
        host.host_tag,
        host.host_name,
        host.quantization,
        listed.kind,
        CASE
            WHEN listed.kind <> 'chat' THEN NULL
            WHEN host.status <> 0 THEN 'the host reports status ' || host.status
            -- Hosts and prices come and go: after two weeks about one in thirteen is no longer what the list says.
            WHEN host.observed_at < listed.observed_at - INTERVAL 14 DAY
                THEN 'what is known of this host is older than its listing: '
                    || strftime(host.observed_at, '%Y-%m-%d')
        END AS obstacle,
        coalesce(host.price_in_usd_per_mtok = 0 AND host.price_out_usd_per_mtok = 0, false) AS is_free,
        CASE WHEN listed.may_train_on_prompts AND host.may_train_on_prompts IS NULL THEN true
            ELSE host.may_train_on_prompts
        END AS may_train_on_prompts,
        host.price_in_usd_per_mtok,
        host.price_out_usd_per_mtok,
        host.price_cache_read_usd_per_mtok,
        host.price_cache_write_usd_per_mtok,
        CAST(NULL AS DOUBLE) AS price_reasoning_usd_per_mtok,
        host.price_request_usd,
        host.price_image_usd,
        host.price_tiers_json,
        least(listed.context_tokens, host.context_tokens) AS context_tokens,
        host.max_output_tokens,
        coalesce(host.supported_parameters, listed.supported_parameters) AS supported_parameters,
        host.latency_p50_ms AS latency_ms,
        host.throughput_p50_tokens_per_s AS throughput_tokens_per_s,
        coalesce(host.uptime_percent_last_1d, host.uptime_percent_last_30m) AS uptime_percent,
        host.observed_at AS price_observed_at,
        date_diff('second', host.observed_at, listed.observed_at) / 86400.0 AS endpoint_age_days,
        host.observed_at,
        listed.* EXCLUDE (
            offer_id, quantization, kind, is_free, may_train_on_prompts, price_in_usd_per_mtok, price_out_usd_per_mtok,
            price_cache_read_usd_per_mtok, price_cache_write_usd_per_mtok, price_reasoning_usd_per_mtok,
            price_request_usd, price_image_usd, price_tiers_json, price_observed_at, context_tokens,
            max_output_tokens, supported_parameters, latency_ms, throughput_tokens_per_s, uptime_percent,
            endpoint_age_days, observed_at
        )
    FROM core.openrouter_endpoints AS host
    JOIN openrouter AS listed ON listed.record_id = host.openrouter_id
    WHERE host.host_tag IS NOT NULL
),
called AS (
    -- What other upstreams list. Price lists write a provider's names without the path it may put before them.
    SELECT
        listing.*,
        listing.upstream || ':' || listing.upstream_model AS offer_id,
        regexp_replace(lower(listing.upstream_model), '^(accounts/[^/]+/)?models/', '') AS provider_name,
        record.model_id,
        record.effort,
        record.variant,
        coalesce(listing.quantization, record.quantization) AS stated_quantization,
        model.kind AS model_kind
    FROM core.upstream_listings AS listing
    JOIN entity.model_records AS record
        ON record.source = 'upstream' AND record.record_id = listing.upstream || ':' || listing.upstream_model
    JOIN entity.models AS model ON model.model_id = record.model_id
),
by_name AS (
    SELECT called.offer_id, true AS is_by_name, price.*
    FROM called
    JOIN ranking.provider_prices AS price USING (provider, provider_name)
),
by_model AS (
    -- Another name of the same provider for the same model, run the same way: a dated twin, an alias.
    SELECT called.offer_id, false AS is_by_name, price.*
    FROM called
    JOIN ranking.provider_prices AS price USING (provider, model_id)
    WHERE price.effort IS NOT DISTINCT FROM called.effort AND price.variant IS NOT DISTINCT FROM called.variant
),
told AS (
    SELECT
        *,
        -- What was seen a month before the rest has no say against it.
        observed_at >= max(observed_at) OVER (PARTITION BY offer_id) - INTERVAL 30 DAY AS is_current,
        CASE source WHEN 'models_dev' THEN 1 WHEN 'litellm_prices' THEN 2 ELSE 3 END AS detail
    FROM (FROM by_name UNION ALL BY NAME FROM by_model WHERE offer_id NOT IN (SELECT offer_id FROM by_name))
),
shape AS (
    -- What the marketplace asks for a model: near to it, of two lists; and how prices stand to each other, for an
    -- upstream that reports costs and is in no list.
    SELECT model_id, median(price_in_usd_per_mtok) AS price_in, median(price_out_usd_per_mtok) AS price_out
    FROM openrouter
    WHERE kind = 'chat' AND variant IS NULL AND price_in_usd_per_mtok > 0
    GROUP BY model_id
),
voted AS (
    SELECT
        told.*,
        count(DISTINCT source) OVER (
            PARTITION BY offer_id, is_current, price_in_usd_per_mtok, price_out_usd_per_mtok
        ) AS agreeing,
        abs(ln(nullif(price_out_usd_per_mtok, 0) / shape.price_out)) AS distance
    FROM told
    LEFT JOIN shape USING (model_id)
    WHERE price_in_usd_per_mtok IS NOT NULL
),
believed AS (
    -- The price that most lists agree upon; where each says another, the one nearest to the marketplace's, then the
    -- newest.
    FROM voted
    QUALIFY row_number() OVER (
        PARTITION BY offer_id
        ORDER BY is_current DESC, agreeing DESC, distance NULLS LAST, observed_at DESC, detail, record_id
    ) = 1
),
limits AS (
    -- models.dev states the whole window, LiteLLM the longest prompt: the more detailed list first.
    SELECT
        offer_id,
        first(source || ':' || record_id ORDER BY detail, record_id)
            FILTER (context_tokens IS NOT NULL) AS limits_source,
        -- What no name and no relative tells: that a provider's model draws or listens.
        first(kind ORDER BY detail, record_id) FILTER (is_by_name AND kind IS NOT NULL) AS kind,
        first(context_tokens ORDER BY detail, record_id) FILTER (context_tokens IS NOT NULL) AS context_tokens,
        first(max_output_tokens ORDER BY detail, record_id) FILTER (max_output_tokens IS NOT NULL) AS max_output_tokens,
        first(input_modalities ORDER BY detail, record_id) FILTER (len(input_modalities) > 0) AS input_modalities,
        first(supports_tools ORDER BY detail, record_id) FILTER (supports_tools IS NOT NULL) AS supports_tools,
        first(supports_json_schema ORDER BY detail, record_id)
            FILTER (supports_json_schema IS NOT NULL) AS supports_json_schema,
        first(supported_efforts ORDER BY detail, record_id) FILTER (len(supported_efforts) > 0) AS supported_efforts,
        min(ends_on) FILTER (ends_on >= CAST($now AS DATE)) AS ends_on
    FROM told
    GROUP BY offer_id
),
expected AS (
    SELECT
        called.offer_id,
        coalesce(believed.price_in_usd_per_mtok, shape.price_in) AS price_in,
        coalesce(believed.price_out_usd_per_mtok, shape.price_out) AS price_out,
        coalesce(believed.price_cache_read_usd_per_mtok, believed.price_in_usd_per_mtok, shape.price_in) AS price_cached,
        coalesce(believed.price_request_usd, 0) AS price_request_usd,
        -- Longer prompts have another price, and say nothing about this one.
        coalesce(CAST(believed.price_tiers_json -> '$[0].min_prompt_tokens' AS BIGINT), 9223372036854775807)
            AS shortest_long_prompt
    FROM called
    LEFT JOIN believed USING (offer_id)
    LEFT JOIN shape ON shape.model_id = called.model_id
    WHERE NOT called.is_local
),
reported AS (
    -- What an upstream says that calls cost, against what they would have: it wins over any list.
    SELECT
        offer_id,
        sum(call.cost_usd) / sum(
            (
                (call.prompt_tokens - coalesce(call.cached_tokens, 0)) * expected.price_in
                + coalesce(call.cached_tokens, 0) * expected.price_cached
                + call.completion_tokens * expected.price_out
            ) / 1e6 + expected.price_request_usd
        ) AS factor,
        max(call."at") AS last_at
    FROM core.outcomes AS call
    JOIN expected USING (offer_id)
    WHERE
        call.cost_is_reported AND call.cost_usd > 0 AND call.prompt_tokens > 0
        AND call.completion_tokens IS NOT NULL AND call.prompt_tokens < expected.shortest_long_prompt
        AND call."at" >= CAST($now AS TIMESTAMP) - INTERVAL 30 DAY
        AND expected.price_in IS NOT NULL AND expected.price_out IS NOT NULL
    GROUP BY offer_id
    HAVING factor IS NOT NULL AND abs(factor - 1) > 0.02
),
upstreams AS (
    SELECT
        called.offer_id,
        called.model_id,
        called.upstream,
        called.upstream_model,
        called.variant,
        called.stated_quantization AS quantization,
        CASE
            WHEN called.capabilities = ['embedding'] THEN 'embedding'
            WHEN called.model_kind = 'chat' THEN coalesce(limits.kind, 'chat')
            ELSE called.model_kind
        END AS kind,
        false AS is_free,
        called.is_local,
        CASE WHEN called.is_local THEN false END AS may_train_on_prompts,
        CASE
            WHEN called.is_local THEN 0.0
            WHEN reported.factor IS NOT NULL THEN expected.price_in * reported.factor
            ELSE believed.price_in_usd_per_mtok
        END AS price_in_usd_per_mtok,
        CASE
            WHEN called.is_local THEN 0.0
            WHEN reported.factor IS NOT NULL THEN expected.price_out * reported.factor
            ELSE believed.price_out_usd_per_mtok
        END AS price_out_usd_per_mtok,
        believed.price_cache_read_usd_per_mtok * coalesce(reported.factor, 1) AS price_cache_read_usd_per_mtok,
        believed.price_cache_write_usd_per_mtok * coalesce(reported.factor, 1) AS price_cache_write_usd_per_mtok,
        believed.price_reasoning_usd_per_mtok * coalesce(reported.factor, 1) AS price_reasoning_usd_per_mtok,
        believed.price_request_usd,
        believed.price_image_usd,
        CASE WHEN reported.factor IS NULL THEN believed.price_tiers_json END AS price_tiers_json,
        CASE
            WHEN called.is_local THEN 'upstream:' || called.offer_id
            WHEN reported.factor IS NOT NULL THEN 'outcomes:' || called.offer_id
            ELSE believed.source || ':' || believed.record_id
        END AS price_source,
        CASE
            WHEN called.is_local THEN called.observed_at
            WHEN reported.factor IS NOT NULL THEN reported.last_at
            ELSE believed.observed_at
        END AS price_observed_at,
        coalesce(called.context_tokens, limits.context_tokens) AS context_tokens,
        limits.max_output_tokens,
        CASE WHEN called.context_tokens IS NULL OR limits.max_output_tokens IS NOT NULL THEN limits.limits_source
        END AS limits_source,
        coalesce(
            limits.input_modalities,
            CASE WHEN len(called.capabilities) > 0
                THEN list_concat(['text'], CASE WHEN list_contains(called.capabilities, 'vision') THEN ['image'] ELSE [] END)
            END
        ) AS input_modalities,
        coalesce(limits.supports_tools, list_contains(called.capabilities, 'tools')) AS known_tools,
        called.is_loaded,
        called.slots,
        limits.supports_json_schema AS known_json_schema,
        -- A list of efforts says that one can be asked for; that a model thinks does not.
        CASE WHEN limits.supported_efforts IS NOT NULL THEN true END AS known_efforts,
        limits.supported_efforts,
        limits.ends_on AS expires_on,
        'upstream' AS source,
        called.offer_id AS record_id,
        called.observed_at
    FROM called
    LEFT JOIN believed USING (offer_id)
    LEFT JOIN limits USING (offer_id)
    LEFT JOIN expected USING (offer_id)
    LEFT JOIN reported USING (offer_id)
),
listed AS (
    SELECT * FROM openrouter
    UNION ALL BY NAME
    SELECT * FROM hosts
    UNION ALL BY NAME
    SELECT * FROM upstreams
)
SELECT
    listed.offer_id,
    listed.model_id,
    listed.upstream,
    listed.upstream_model,
    listed.host_tag,
    listed.host_name,
    listed.variant,
    listed.quantization,
    listed.kind,
    listed.kind = 'chat' AND listed.obstacle IS NULL AS is_callable,
    CASE listed.kind
        WHEN 'chat' THEN listed.obstacle
        WHEN 'batch' THEN 'batch only: not served through chat completions'
        WHEN 'alias' THEN 'a moving alias: its target is offered under its own name'
        WHEN 'router' THEN 'a router of the upstream, not a model'
        WHEN 'expired' THEN 'expired on ' || coalesce(CAST(listed.expires_on AS VARCHAR), 'an unknown day')
        WHEN 'base' THEN 'a base model: completes text, does not chat'
        WHEN 'guard' THEN 'a guard model: classifies, does not chat'
        WHEN 'embedding' THEN 'an embedding model: does not chat'
        ELSE 'not a chat model: ' || listed.kind
    END AS not_callable_reason,
    listed.is_free,
    listed.is_local,
    listed.may_train_on_prompts,
    listed.price_in_usd_per_mtok,
    listed.price_out_usd_per_mtok,
    listed.price_cache_read_usd_per_mtok,
    listed.price_cache_write_usd_per_mtok,
    listed.price_reasoning_usd_per_mtok,
    listed.price_request_usd,
    listed.price_image_usd,
    listed.price_tiers_json,
    listed.price_source,
    listed.price_observed_at,
    listed.context_tokens,
    listed.max_output_tokens,
    listed.limits_source,
    listed.is_loaded,
    listed.slots,
    coalesce(listed.input_modalities, []) AS input_modalities,
    coalesce(list_contains(listed.supported_parameters, 'tools'), listed.known_tools) AS supports_tools,
    coalesce(list_contains(listed.supported_parameters, 'structured_outputs'), listed.known_json_schema)
        AS supports_json_schema,
    list_contains(listed.supported_parameters, 'response_format') AS supports_json_mode,
    list_contains(listed.input_modalities, 'image') AS supports_vision,
    list_contains(listed.input_modalities, 'audio') AS supports_audio,
    coalesce(list_has_any(listed.supported_parameters, ['reasoning', 'reasoning_effort']), listed.known_efforts)
        AS supports_reasoning,
    listed.reasoning_is_mandatory,
    coalesce(listed.supported_efforts, []) AS supported_efforts,
    listed.default_effort,
    coalesce(listed.supported_parameters, []) AS supported_parameters,
    listed.is_moderated,
    CAST(listed.latency_ms AS DOUBLE) AS latency_ms,
    CAST(listed.throughput_tokens_per_s AS DOUBLE) AS throughput_tokens_per_s,
    CAST(listed.uptime_percent AS DOUBLE) AS uptime_percent,
    listed.expires_on,
    listed.source,
    listed.record_id,
    listed.observed_at,
    listed.endpoint_age_days
FROM listed
ORDER BY listed.offer_id
