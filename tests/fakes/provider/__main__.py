"""`python -m tests.fakes.provider`: prints its port and serves until it is killed."""

import argparse
from decimal import Decimal

from tests.fakes.provider.ledger import Ledger, Tariff
from tests.fakes.provider.server import Handler, Server


def main() -> None:
    parser = argparse.ArgumentParser()
    for price in ("--input-price", "--output-price", "--cached-price"):
        parser.add_argument(price, type=Decimal, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--idempotent", action="store_true")
    parser.add_argument("--api-key")
    options = parser.parse_args()
    tariff = Tariff(options.input_price, options.output_price, options.cached_price, options.idempotent)
    Handler.ledger = Ledger(tariff)
    Handler.latency, Handler.key = options.latency, options.api_key
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
