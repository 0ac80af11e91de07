-- What a unit of a lottery's prize costs its organiser; simulations reckon with it.

ALTER TABLE prizes
ADD COLUMN unit_cost numeric(10, 2) NOT NULL DEFAULT 0 CHECK (unit_cost >= 0);
